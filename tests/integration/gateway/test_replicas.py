"""Two gateways on one database: either answers what the other was told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from contracts.gateway.v1 import AwardRequested
from tests.integration.gateway.api import Api, Person, running_api
from tests.integration.gateway.listening import listening
from tests.integration.gateway.wallets import Ledger
from tests.support.environment import Database


@pytest_asyncio.fixture
async def pair(
    database_for: Callable[[str], Awaitable[Database]],
) -> AsyncIterator[tuple[Api, Api]]:
    """Give two gateways with one database and one master key."""
    database = await database_for("gateway")
    async with running_api(database) as one:
        key = one.running.settings.master_key
        async with running_api(database, master_key=key) as other:
            other.sequences = one.sequences
            yield one, other


def at(api: Api, person: Person) -> Person:
    """Return the same person at another gateway."""
    client = api.client()
    client.cookies = person.client.cookies
    return Person(client, person.id, person.email)


async def test_an_answer_that_another_replica_was_told_is_seen(pair: tuple[Api, Api]) -> None:
    one, other = pair
    finance, ada = await one.person("finance"), await one.person()
    body = {"user_id": ada.id, "credits": 30, "reason": "welcome"}

    asking = asyncio.create_task(finance.asks("POST", "/api/credits/awards", body))
    request = await one.asked(AwardRequested)
    await Ledger(other, ada.id).awards(30, correlation_id=request.correlationid)
    answer = await asking

    assert answer.status_code == 201, answer.text


async def test_a_key_and_a_cursor_are_good_at_either(pair: tuple[Api, Api]) -> None:
    one, other = pair
    ada = await one.person()
    key = {"Idempotency-Key": "token-1"}

    first = await ada.posts("/api/tokens", {"name": "ci"}, headers=key)
    again = await at(other, ada).posts("/api/tokens", {"name": "ci"}, headers=key)
    await ada.posts("/api/tokens", {"name": "other"})
    page = await ada.gets("/api/tokens", limit=1)
    rest = await at(other, ada).gets("/api/tokens", limit=1, cursor=page["next_cursor"])

    assert first == again
    assert [token["name"] for token in page["items"] + rest["items"]] == ["other", "ci"]


async def test_a_listener_hears_in_order_and_once_what_both_are_told(
    pair: tuple[Api, Api],
) -> None:
    one, other = pair
    finance = await one.person("finance")
    people = [await one.person() for _ in range(6)]
    wallets = [Ledger((one, other)[n % 2], person.id) for n, person in enumerate(people)]

    async def awards(wallet: Ledger) -> None:
        for _ in range(20):
            await wallet.awards(1)

    async with listening(finance) as heard, listening(at(other, finance)) as elsewhere:
        await asyncio.gather(*(awards(wallet) for wallet in wallets))
        for listener in (heard, elsewhere):
            while len(listener.heard) < 120:
                await listener.next()

    ids = [int(event_id) for _, event_id, _ in heard.heard]
    assert ids == sorted(set(ids))
    assert heard.heard == elsewhere.heard


async def test_who_is_signed_out_at_one_is_signed_out_at_both(pair: tuple[Api, Api]) -> None:
    one, other = pair
    ada = await one.person()
    twin = at(other, ada)
    cookie = {"cookie": f"tollgate_session={ada.client.cookies['tollgate_session']}"}
    assert (await twin.asks("GET", "/api/me")).status_code == 200

    await ada.asks("DELETE", "/api/session")

    await Person(other.client()).is_refused(
        "GET", "/api/me", status=401, code="UNAUTHENTICATED", headers=cookie
    )
