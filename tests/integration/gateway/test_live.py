"""What happens, live: each is told what they may see, in order, and resumes without loss."""

import asyncio

import pytest

from contracts.deployer.logs import LogChunk, Progress
from services.gateway.housekeeping import remove_expired
from services.gateway.log_rows import on_log_chunks
from tests.integration.gateway.api import Api
from tests.integration.gateway.listening import listening
from tests.integration.gateway.neighbours import NOON, deploys, publishes
from tests.integration.gateway.wallets import Ledger


async def test_an_owner_hears_what_happens_to_what_is_theirs(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    await publishes(api)
    async with listening(ada) as heard, listening(bob) as others:
        wallet = Ledger(api, ada.id)
        await wallet.awards(30)
        deployer = await deploys(api, ada)
        await deployer.starts()
        await deployer.fails("no such zone")
        await publishes(api, "m-2", title="Database")
        balance = await heard.until("balance")
        statuses = [(await heard.until("deployment"))["status"] for _ in range(3)]
        await heard.until("module", id="m-2")
        await others.until("module", id="m-2")

    assert (balance["awarded"], balance["available"]) == (30, 30)
    assert statuses == ["QUEUED", "PROVISIONING", "FAILED"]
    assert [kind for kind, _, _ in others.heard] == ["module"]


async def test_those_who_may_see_all_hear_of_all(api: Api) -> None:
    ada, support = await api.person(), await api.person("support")
    finance = await api.person("finance")
    await publishes(api)
    async with (
        listening(support) as helps,
        listening(finance) as counts,
        listening(finance, "/api/events?scope=mine") as own,
    ):
        await Ledger(api, ada.id).awards(30)
        await deploys(api, ada)
        await publishes(api, "m-2")
        assert (await helps.until("deployment"))["user_id"] == ada.id
        assert (await counts.until("balance"))["user_id"] == ada.id
        for each in (helps, own):
            await each.until("module", id="m-2")

    assert "balance" not in {kind for kind, _, _ in helps.heard}
    assert {kind for kind, _, _ in own.heard} == {"module"}


async def test_a_private_module_is_its_partners_to_hear_of(api: Api) -> None:
    partner, ada = await api.person("partner"), await api.person()
    async with listening(partner) as heard, listening(ada) as others:
        await publishes(api, "private", partner_id=partner.id, public=False)
        await publishes(api, "m-1")
        await heard.until("module", id="private")
        await others.until("module", id="m-1")

    assert len(others.heard) == 1


async def test_who_comes_back_with_the_last_id_misses_nothing(api: Api) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    async with listening(ada) as heard:
        await wallet.awards(1)
        _, last_id, _ = await heard.next()
    for _ in range(3):
        await wallet.awards(1)

    async with listening(ada, **{"Last-Event-ID": last_id}) as heard:
        missed = [await heard.until("balance") for _ in range(3)]

    assert [each["awarded"] for each in missed] == [2, 3, 4]


async def test_who_cannot_send_a_header_says_in_the_address_from_where_on(api: Api) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    async with listening(ada) as heard:
        await wallet.awards(1)
        _, first_id, _ = await heard.next()
    await wallet.awards(1)
    await wallet.awards(1)

    async with listening(ada, f"/api/events?after={first_id}") as heard:
        assert [(await heard.until("balance"))["awarded"] for _ in range(2)] == [2, 3]
        second_id = str(int(first_id) + 1)
    headers = {"Last-Event-ID": second_id}
    async with listening(ada, f"/api/events?after={first_id}", **headers) as heard:
        assert (await heard.until("balance"))["awarded"] == 3  # noqa: PLR2004 - the header is newer
    await ada.is_refused("GET", "/api/events?after=x", status=422, code="INVALID_INPUT")


async def test_who_comes_back_too_late_is_told_to_read_anew(api: Api) -> None:
    ada = await api.person()
    wallet = Ledger(api, ada.id)
    async with listening(ada) as heard:
        await wallet.awards(1)
        _, last_id, _ = await heard.next()
    await wallet.awards(1)
    await wallet.awards(1)
    await api.running.pool.execute(
        "update client_events set created_at = now() - interval '2 days' where position <= $1",
        int(last_id) + 1,
    )
    await remove_expired(api.running, lambda: None)

    async with listening(ada, **{"Last-Event-ID": last_id}) as heard:
        assert (await heard.next())[0] == "reset"
    async with listening(ada, **{"Last-Event-ID": "9" * 18}) as heard:
        assert (await heard.next())[0] == "reset"
    await ada.is_refused(
        "GET", "/api/events", status=422, code="INVALID_INPUT", headers={"Last-Event-ID": "x"}
    )


async def test_a_role_takes_effect_while_one_listens(api: Api) -> None:
    admin, ada, bob = await api.person("admin"), await api.person(), await api.person()
    async with listening(ada) as heard:
        await Ledger(api, bob.id).awards(1)
        await admin.asks("PATCH", f"/api/users/{ada.id}", {"roles": ["finance"]})
        wallet = Ledger(api, bob.id)
        wallet.awarded = 1
        await wallet.awards(1)
        assert (await heard.until("balance"))["awarded"] == 2


async def test_whoever_is_deactivated_hears_no_more(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    async with listening(ada) as heard:
        await admin.asks("PATCH", f"/api/users/{ada.id}", {"active": False})
        await heard.ends()


async def test_streams_end_when_the_process_stops(api: Api) -> None:
    ada = await api.person()
    async with listening(ada) as heard:
        api.running.stopping.set()
        await heard.ends()


async def test_many_who_listen_all_hear_each_event_once(api: Api) -> None:
    ada = await api.person()
    ready = asyncio.Event()
    begun = 0

    async def listen() -> list[int]:
        nonlocal begun
        async with listening(ada) as heard:
            begun += 1
            if begun == 50:
                ready.set()
            return [(await heard.until("balance"))["awarded"] for _ in range(20)]

    listeners = [asyncio.create_task(listen()) for _ in range(50)]
    await ready.wait()
    wallet = Ledger(api, ada.id)
    for _ in range(20):
        await wallet.awards(1)
    heard = await asyncio.gather(*listeners)

    assert heard == [list(range(1, 21))] * 50


def chunk(build_id: str, offset: int, text: str, *, final: bool = False) -> LogChunk:
    return LogChunk(
        build_id=build_id,
        deployment_id="d",
        user_id="u",
        offset=offset,
        text=text,
        at=NOON,
        final=final,
    )


async def keep(api: Api, *chunks: LogChunk) -> None:
    async with api.running.pool.acquire() as connection:
        await on_log_chunks(connection, chunks)


async def test_a_log_is_read_as_text_from_any_byte_on(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    build = deployer.build_id
    await keep(api, chunk(build, 7, "two ü\n"), chunk(build, 0, "line 1\n"))
    await keep(api, chunk(build, 0, "line 1\n"), chunk(build, 14, "", final=True))
    path = f"/api/deployments/{deployer.asked.deployment_id}/logs"

    whole = await ada.asks("GET", path)
    rest = await ada.asks("GET", f"{path}?after=7&build={build}")

    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert whole.text == "line 1\ntwo ü\n"
    assert rest.text == "two ü\n"
    await ada.is_refused("GET", f"{path}?build=other", status=404, code="NOT_FOUND")


async def test_gateways_that_keep_the_same_chunks_do_not_deadlock(api: Api) -> None:
    chunks = [chunk("build", offset, "line\n") for offset in range(0, 10_000, 5)]
    await asyncio.gather(keep(api, *chunks), keep(api, *reversed(chunks)))


async def test_a_long_log_is_read_whole(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    lines = [f"{number:07}\n" for number in range(1_000)]
    await keep(api, *(chunk(deployer.build_id, 8 * n, line) for n, line in enumerate(lines)))

    log = await ada.asks("GET", f"/api/deployments/{deployer.asked.deployment_id}/logs")

    assert log.text == "".join(lines)


async def test_a_log_is_heard_live_in_order_and_resumed_by_its_id(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    build = deployer.build_id
    path = f"/api/deployments/{deployer.asked.deployment_id}/logs"
    async with listening(ada, path) as heard:
        await keep(api, chunk(build, 4, "two\n"))
        await keep(api, chunk(build, 0, "one\n"))
        first, second = await heard.next(), await heard.next()
    async with listening(ada, path, **{"Last-Event-ID": first[1]}) as again:
        await keep(api, chunk(build, 8, "three\n", final=True))
        rest = [await again.next() for _ in range(3)]
        await again.ends()

    assert [first, second] == [("log", "4", "one\n"), ("log", "8", "two\n")]
    assert rest == [("log", "8", "two\n"), ("log", "14", "three\n"), ("end", "14", "{}")]


async def test_how_far_terraform_is_is_told_whenever_it_has_changed(api: Api) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    path = f"/api/deployments/{deployer.asked.deployment_id}/logs"
    pieces = [
        chunk(deployer.build_id, number, "x").model_copy(update={"progress": progress})
        for number, progress in enumerate(
            (
                None,
                Progress(done=0, planned=2),
                Progress(done=0, planned=2),
                Progress(done=1, planned=2),
            )
        )
    ]
    async with listening(ada, path) as heard:
        await keep(api, *pieces, chunk(deployer.build_id, 4, "", final=True))
        told = [await heard.next() for _ in range(7)]

    assert [event[2] for event in told if event[0] == "progress"] == [
        '{"done": 0, "planned": 2}',
        '{"done": 1, "planned": 2}',
    ]


async def test_how_far_terraform_is_goes_on_being_told_when_the_log_is_full(api: Api) -> None:
    """Then it comes in pieces without text, late and twice as others do."""
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)
    path = f"/api/deployments/{deployer.asked.deployment_id}/logs"
    one, two, three = (
        chunk(deployer.build_id, 1, "").model_copy(
            update={"progress": Progress(done=done, planned=3)}
        )
        for done in (1, 2, 3)
    )
    async with listening(ada, path) as heard:
        await keep(api, chunk(deployer.build_id, 0, "x"), one)
        told = [await heard.next() for _ in range(2)]
        await keep(api, two, one)
        told.append(await heard.next())
        await keep(api, three.model_copy(update={"final": True}), two)
        told += [await heard.next() for _ in range(2)]
        await heard.ends()

    assert [event[::2] for event in told] == [
        ("log", "x"),
        ("progress", '{"done": 1, "planned": 3}'),
        ("progress", '{"done": 2, "planned": 3}'),
        ("progress", '{"done": 3, "planned": 3}'),
        ("end", "{}"),
    ]


@pytest.mark.parametrize("last_id", ["x", "-1", "9" * 30])
async def test_a_place_in_a_log_that_is_none_is_refused(api: Api, last_id: str) -> None:
    ada = await api.person()
    await publishes(api)
    deployer = await deploys(api, ada)

    await ada.is_refused(
        "GET", f"/api/deployments/{deployer.asked.deployment_id}/logs",
        status=422, code="INVALID_INPUT",
        headers={"Accept": "text/event-stream", "Last-Event-ID": last_id},
    )  # fmt: skip
