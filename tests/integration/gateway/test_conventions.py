"""What holds for every call: problems, strictness, keys, limits, tags, sites."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from contracts.gateway.v1 import AwardRequested
from runtime.process import StartError
from services.gateway.http.server import serve
from tests.integration.gateway.api import Api, Person, running_api
from tests.integration.gateway.wallets import Ledger
from tests.integration.gateway.way import way_to
from tests.support.environment import Database

JSON = {"content-type": "application/json"}


async def test_every_answer_has_an_id_and_safe_headers(api: Api) -> None:
    answer = await Person(api.client()).asks("GET", "/api/nothing")

    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api", 404, "NOT_FOUND"),
        ("GET", "/api/users/", 404, "NOT_FOUND"),
        ("GET", "/api/../etc/passwd", 404, "NOT_FOUND"),
        ("DELETE", "/api/settings", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/api/me", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/api/me", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/modules?limit=0", 422, "INVALID_INPUT"),
        ("GET", "/api/modules?limit=101", 422, "INVALID_INPUT"),
        ("GET", "/api/modules?limit=many", 422, "INVALID_INPUT"),
        ("GET", "/api/modules?colour=red", 422, "INVALID_INPUT"),
        ("GET", "/api/modules?sort=by_luck", 422, "INVALID_INPUT"),
        ("GET", "/api/modules?cursor=forged", 422, "INVALID_CURSOR"),
        ("GET", "/api/modules/" + "x" * 65, 422, "INVALID_INPUT"),
        ("GET", "/api/modules/%00", 422, "INVALID_INPUT"),
        ("GET", "/api/deployments?project=%00", 422, "INVALID_INPUT"),
        ("GET", "/auth/oidc/login?referral_code=%00", 422, "INVALID_INPUT"),
        ("GET", "/api/modules?search=" + "x" * 9_000, 414, "URI_TOO_LONG"),
        ("GET", "/api/credits/history?from=yesterday", 422, "INVALID_INPUT"),
    ],
)
async def test_what_is_no_call_is_a_problem(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    ada = await api.person("admin")

    problem = await ada.is_refused(method, path, status=status, code=code)

    assert problem["type"] == f"urn:tollgate:problem:{code.lower().replace('_', '-')}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/me", "DELETE, GET, HEAD, PATCH"),
        ("POST", "/api/deployments/stats", "GET, HEAD"),
        ("DELETE", "/api/deployments/stats", "GET, HEAD"),
        ("PUT", "/api/deployments/stats", "GET, HEAD"),
        ("POST", "/api/deployments/some", "DELETE, GET, HEAD, PUT"),
    ],
)
async def test_a_method_that_is_not_there_is_told_which_are(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = await Person(api.client()).asks(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_head_is_get_without_its_body(api: Api) -> None:
    ada = await api.person()
    whole, head = await ada.asks("GET", "/api/me"), await ada.asks("HEAD", "/api/me")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == whole.headers["etag"]


BODIES: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("no JSON", b"{", JSON, 422, "INVALID_JSON"),
    ("a name twice", b'{"name": "a", "name": "b"}', JSON, 422, "INVALID_JSON"),
    ("NaN", b'{"name": NaN}', JSON, 422, "INVALID_JSON"),
    ("bytes that are no text", b'{"name": "\xff"}', JSON, 422, "INVALID_JSON"),
    ("a NUL", rb'{"name": "\u0000"}', JSON, 422, "INVALID_JSON"),
    ("great depth", b"[" * 50_000, JSON, 422, "INVALID_JSON"),
    ("a list", b"[]", JSON, 422, "INVALID_INPUT"),
    ("null", b"null", JSON, 422, "INVALID_INPUT"),
    ("nothing", b"", JSON, 422, "INVALID_INPUT"),
    ("an unknown field", b'{"roles": ["admin"]}', JSON, 422, "INVALID_INPUT"),
    ("a form", b"name=x", {"content-type": "application/x-www-form-urlencoded"}, 415,
     "UNSUPPORTED_MEDIA_TYPE"),
    ("no type", b'{"name": "x"}', {}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("text", b'{"name": "x"}', {"content-type": "text/json"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("too much", b'{"name": "' + b"x" * 2**20 + b'"}', JSON, 413, "BODY_TOO_LARGE"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "body", "headers", "status", "code"), BODIES, ids=[b[0] for b in BODIES]
)
async def test_a_body_that_is_none_is_refused(
    *, api: Api, what: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    ada = await api.person(name="Ada")

    await ada.is_refused(
        "PATCH", "/api/me", status=status, code=code, content=body, headers=headers
    )

    assert (await ada.gets("/api/me"))["name"] == "Ada", what


async def test_a_body_without_a_length_is_bounded_too(api: Api) -> None:
    ada = await api.person()

    async def pieces() -> Any:
        for _ in range(40):
            yield b" " * 2**16

    answer = await ada.asks("PATCH", "/api/me", content=pieces(), headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


async def test_what_is_not_allowed_is_said_before_what_is_wrong(api: Api) -> None:
    stranger, ada = Person(api.client()), await api.person()
    body = {"content": b"{", "headers": JSON}

    await stranger.is_refused("PATCH", "/api/me", status=401, code="UNAUTHENTICATED", **body)
    await ada.is_refused("PATCH", "/api/settings", status=403, code="FORBIDDEN", **body)


SITES: list[tuple[str, dict[str, str], int]] = [
    ("another site", {"origin": "https://evil.example"}, 403),
    ("no origin at all", {"origin": "null"}, 403),
    ("our own address", {"origin": "OURS"}, 200),
    ("another port of ours", {"origin": "http://127.0.0.1:1"}, 403),
    ("another site, by its other header", {"sec-fetch-site": "cross-site"}, 403),
    ("a neighbour of our site", {"sec-fetch-site": "same-site"}, 403),
    ("our own page", {"sec-fetch-site": "same-origin"}, 200),
    ("a program", {}, 200),
]


@pytest.mark.parametrize(("what", "headers", "status"), SITES, ids=[s[0] for s in SITES])
async def test_another_sites_page_cannot_write(
    api: Api, what: str, headers: dict[str, str], status: int
) -> None:
    ada = await api.person()
    ours = {name: api.url if value == "OURS" else value for name, value in headers.items()}

    answer = await ada.asks("PATCH", "/api/me", {"name": "Mallory"}, headers=ours)

    assert answer.status_code == status, what
    assert ((await ada.gets("/api/me"))["name"] == "Mallory") is (status == 200)


async def test_a_representation_that_is_there_already_is_not_sent_again(api: Api) -> None:
    ada = await api.person()
    tag = (await ada.asks("GET", "/api/me")).headers["etag"]

    again = await ada.asks("GET", "/api/me", headers={"If-None-Match": f'"x", {tag}'})
    await ada.asks("PATCH", "/api/me", {"name": "Ada"})
    changed = await ada.asks("GET", "/api/me", headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200
    await ada.is_refused(
        "PATCH", "/api/me", {"name": "x"}, status=412, code="PRECONDITION_FAILED",
        headers={"If-Match": tag},
    )  # fmt: skip


async def test_of_two_who_change_the_same_state_at_once_one_is_told(api: Api) -> None:
    ada = await api.person()
    tag = (await ada.asks("GET", "/api/me")).headers["etag"]

    answers = await asyncio.gather(
        *(
            ada.asks("PATCH", "/api/me", {"name": name}, headers={"If-Match": tag})
            for name in ("Ada", "Augusta", "Countess")
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


async def test_the_same_key_and_body_get_the_same_answer_and_one_award(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    body = {"user_id": ada.id, "credits": 30, "reason": "welcome"}
    key = {"headers": {"Idempotency-Key": "award-1"}}

    asking = asyncio.create_task(finance.asks("POST", "/api/credits/awards", body, **key))
    request = await api.asked(AwardRequested)
    await finance.is_refused(
        "POST", "/api/credits/awards", body, status=409, code="IDEMPOTENCY_IN_PROGRESS", **key
    )
    await Ledger(api, ada.id).awards(30, correlation_id=request.correlationid)
    first = await asking
    again = await finance.asks("POST", "/api/credits/awards", body, **key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    await finance.is_refused(
        "POST", "/api/credits/awards", {**body, "credits": 31},
        status=422, code="IDEMPOTENCY_KEY_REUSED", **key,
    )  # fmt: skip
    count = await api.running.pool.fetchval(
        "select count(*) from outbox where subject = $1", AwardRequested.bus_subject()
    )
    assert count == 1


async def test_what_is_kept_of_an_answer_is_encrypted(api: Api) -> None:
    ada = await api.person()
    key = {"Idempotency-Key": "token-1"}

    token = (await ada.posts("/api/tokens", {"name": "ci"}, headers=key))["token"]
    again = (await ada.posts("/api/tokens", {"name": "ci"}, headers=key))["token"]
    kept = await api.running.pool.fetchval("select idempotency_keys::text from idempotency_keys")

    assert token == again
    assert token not in kept


async def test_a_key_is_its_senders(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    key = {"Idempotency-Key": "same"}

    ones = await ada.posts("/api/tokens", {"name": "ci"}, headers=key)
    others = await bob.posts("/api/tokens", {"name": "ci"}, headers=key)

    assert ones["id"] != others["id"]


async def test_a_call_that_died_in_the_middle_is_finished_by_its_repetition(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    body = {"user_id": ada.id, "credits": 30, "reason": "welcome"}
    key = {"headers": {"Idempotency-Key": "award-1"}}
    asking = asyncio.create_task(finance.asks("POST", "/api/credits/awards", body, **key))
    request = await api.asked(AwardRequested)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await api.running.pool.execute(
        "update idempotency_keys set busy_until = now() - interval '1 second', answer = null"
    )

    again = asyncio.create_task(finance.asks("POST", "/api/credits/awards", body, **key))
    await Ledger(api, ada.id).awards(
        30, lot_id=f"lot-{request.correlationid}", correlation_id=request.correlationid
    )
    answer = await again

    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == f"lot-{request.correlationid}"
    count = await api.running.pool.fetchval(
        "select count(*) from outbox where subject = $1", AwardRequested.bus_subject()
    )
    assert count == 1


@pytest.mark.parametrize("key", ["", "x" * 256, b"x\xe9", "a\tb"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str | bytes) -> None:
    ada = await api.person()

    await ada.is_refused(
        "POST", "/api/tokens", {"name": "ci"}, status=422, code="INVALID_INPUT",
        headers={"Idempotency-Key": key},
    )  # fmt: skip


async def test_who_calls_too_often_waits_and_others_do_not(
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    database = await database_for("gateway")
    async with running_api(database, rate_limit_per_second=1, rate_limit_burst=5) as api:
        ada, bob = await api.person(), await api.person()
        answers = [await ada.asks("GET", "/api/me") for _ in range(6)]

        assert answers[-1].status_code == 429
        assert answers[-1].json()["code"] == "TOO_MANY_REQUESTS"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert answers[0].headers["ratelimit-policy"] == '"calls";q=5;w=5'
        assert (await bob.asks("GET", "/api/me")).status_code == 200


async def test_the_process_is_asked_how_it_is(api: Api) -> None:
    person = Person(api.client())

    assert (await person.asks("GET", "/healthz")).json() == {"stuck": []}
    assert (await person.asks("GET", "/readyz")).status_code == 200
    assert "tollgate_batch_size" in (await person.asks("GET", "/metrics")).text
    outside = {"headers": {"X-Forwarded-For": "203.0.113.7"}}
    await person.is_refused("GET", "/metrics", status=404, code="NOT_FOUND", **outside)


async def test_the_description_names_every_call_and_how_each_goes_wrong(api: Api) -> None:
    person = Person(api.client())
    found = await person.gets("/api/openapi.json")
    page = await person.asks("GET", "/api/docs")

    assert found["openapi"] == "3.1.0"
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            problems = [status for status in operation["responses"] if int(status) >= 400]
            assert {"414", "422", "429", "500", "503"} <= set(problems), (method, path)
            assert operation["description"], (method, path)
    deploy = found["paths"]["/api/deployments"]["post"]
    assert {"201", "202", "402", "404", "409", "413", "415"} <= deploy["responses"].keys()
    assert deploy["security"] == [{"session": []}, {"token": []}]
    assert [p["name"] for p in deploy["parameters"]] == ["Idempotency-Key"]
    assert "/api/deployments" in page.text
    assert "<script" not in page.text


async def test_a_database_that_is_away_is_a_503_and_no_500(
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    database = await database_for("gateway")
    async with way_to(database) as way, running_api(way.database) as api:
        ada = await api.person()
        await way.close()
        statuses = {(await ada.asks("GET", "/api/me")).status_code for _ in range(5)}
        await way.open()
        async with asyncio.timeout(20):
            while (await ada.asks("GET", "/api/me")).status_code != 200:
                await asyncio.sleep(0.05)

    assert statuses == {503}


async def test_calls_that_were_begun_are_finished_when_the_process_stops(
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    database = await database_for("gateway")
    async with running_api(database) as api:
        finance, ada = await api.person("finance"), await api.person()
        body = {"user_id": ada.id, "credits": 30, "reason": "welcome"}
        asking = asyncio.create_task(finance.asks("POST", "/api/credits/awards", body))
        request = await api.asked(AwardRequested)
        api.running.stopping.set()
        answer = await asking

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/requests/{request.correlationid}"
    with pytest.raises(httpx2.TransportError):
        async with httpx2.AsyncClient() as client:
            await client.get(f"{api.url}/healthz")


async def test_a_port_that_is_taken_is_said_at_start() -> None:
    async def nothing(*_: object) -> None:
        raise AssertionError("nobody calls")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError) as refused:
            await serve(
                nothing,
                host="127.0.0.1",
                port=port,
                stopping=asyncio.Event(),
                linger_seconds=0,
            )

    assert str(refused.value).startswith(f"cannot listen on 127.0.0.1:{port}: Address already")
    assert "\n" not in str(refused.value)


async def test_a_key_that_is_not_set_is_said_at_start(
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    database = await database_for("gateway")
    with pytest.raises(StartError, match="TOLLGATE_DEPLOYER_SEALING_PUBLIC_KEY"):
        async with running_api(database, deployer_sealing_public_key=None):
            pass
