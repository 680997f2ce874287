"""Downloads as CSV while readers are slow, and when they leave."""

import asyncio
import gc

from starlette.types import Message, Scope

from services.gateway.gateway import put_together
from services.gateway.http.csv_download import DOWNLOADS_MAX, PIECES_MAX, Take, csv_response
from services.gateway.wakes import Wakes
from tests.integration.gateway.api import PATIENCE_SECONDS, Api, Person, until

CSV = {"accept": "text/csv"}
LINES = 100_000
"""More than the sockets and the queue between hold: 30 MB."""

FILL = """
    insert into credit_history (id, user_id, sequence, at, type, credits, awarded_delta,
                                purchased_delta, awarded, purchased, awarded_held, purchased_held,
                                reason)
    select 'line-' || n, $1, n, now(), 'AWARD', 1, 1, 0, n, 0, 0, 0, repeat('x', 250)
    from generate_series(1, $2::int) as n"""


async def test_who_leaves_a_download_is_in_nobodys_way(api: Api) -> None:
    ada = await api.person()
    await api.running.pool.execute(FILL, ada.id, LINES)

    for _ in range(DOWNLOADS_MAX + 1):
        await leaves_in_the_middle(ada)
        # The next call gets the connection that the download had.
        assert await ada.gets("/api/me")

    assert (await until(lambda: whole(ada))).count("\r\n") == LINES + 1


async def test_a_download_that_nobody_reads_ends_with_its_reader(api: Api) -> None:
    gateway = put_together(api.running, Wakes())
    full = asyncio.Event()

    async def copy(_: object, take: Take) -> None:
        for number in range(PIECES_MAX + 1):
            await take(b"%d\n" % number)
        full.set()
        await take(b"one for which there is no room\n")

    async def leaves() -> Message:
        await full.wait()
        return {"type": "http.disconnect"}

    async def takes_the_first(message: Message) -> None:
        if message.get("body"):
            await asyncio.Event().wait()

    scope: Scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
    # What only a collection of garbage ends would be ended by luck.
    gc.disable()
    try:
        for _ in range(DOWNLOADS_MAX + 1):
            full.clear()
            answer = await csv_response(gateway, "numbers", copy)
            async with asyncio.timeout(PATIENCE_SECONDS) as patience:
                await answer(scope, leaves, takes_the_first)
            assert not patience.expired()
    finally:
        gc.enable()


async def leaves_in_the_middle(person: Person) -> None:
    async with person.client.stream("GET", "/api/credits/history", headers=CSV) as answer:
        assert answer.status_code == 200
        await anext(answer.aiter_bytes())


async def whole(person: Person) -> str | None:
    """Return all of one's history, or nothing while there is no room for a download."""
    answer = await person.client.get("/api/credits/history", headers=CSV)
    return answer.text if answer.status_code == 200 else None
