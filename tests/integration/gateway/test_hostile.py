"""What a hostile client sends: each is a 4xx with a stable code, and changes nothing."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.gateway.api import PASSWORD, Api, Person

AWARD = "/api/credits/awards"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"credits": 10**400}, "/credits"),
        ({"credits": 2**63}, "/credits"),
        ({"credits": 0}, "/credits"),
        ({"credits": -1}, "/credits"),
        ({"credits": 1.0}, "/credits"),
        ({"credits": "1"}, "/credits"),
        ({"credits": True}, "/credits"),
        ({"reason": "   "}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"user_id": "../admin"}, "/user_id"),
        ({"user_id": ["a"]}, "/user_id"),
        ({"expires_at": "9999-99-99T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "/expires_at"),
        ({"kind": "award.gift"}, "/kind"),
        ({"__proto__": {}}, "/__proto__"),
    ],
)
async def test_what_a_field_cannot_be_is_named(
    api: Api, changes: dict[str, Any], pointer: str
) -> None:
    finance, ada = await api.person("finance"), await api.person()

    answer = await finance.asks(
        "POST", AWARD, {"user_id": ada.id, "credits": 1, "reason": "x", **changes}
    )

    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] in {"INVALID_INPUT", "INVALID_JSON"}
    if problem["code"] == "INVALID_INPUT":
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
    asked = await api.running.pool.fetchval("select count(*) from requests")
    assert asked == 0


async def test_a_cursor_is_good_for_its_list_its_filters_and_its_owner_alone(api: Api) -> None:
    admin, other = await api.person("admin"), await api.person("admin")
    for _ in range(3):
        await api.person("support")
    await admin.posts("/api/tokens", {"name": "a"})
    await admin.posts("/api/tokens", {"name": "b"})
    users = (await admin.gets("/api/users", role="support", limit=1))["next_cursor"]
    tokens = (await admin.gets("/api/tokens", limit=1))["next_cursor"]
    forged = users[:-2] + ("AA" if users[-2:] != "AA" else "BB")

    for who, path, parameters in (
        (admin, "/api/users", {"cursor": users}),
        (admin, "/api/users", {"cursor": users, "role": "admin"}),
        (admin, "/api/users", {"cursor": forged, "role": "support"}),
        (admin, "/api/users", {"cursor": tokens}),
        (admin, "/api/audit", {"cursor": users}),
        (other, "/api/tokens", {"cursor": tokens}),
    ):
        await who.is_refused("GET", path, params=parameters, status=422, code="INVALID_CURSOR")


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_a_method_is_what_it_is(api: Api, header: str) -> None:
    ada = await api.person()

    assert (await ada.asks("GET", "/api/me", headers={header: "DELETE"})).status_code == 200
    await ada.is_refused(
        "POST", "/api/me", {}, status=405, code="METHOD_NOT_ALLOWED", headers={header: "PATCH"}
    )
    assert (await ada.gets("/api/me"))["id"] == ada.id


async def test_a_session_that_somebody_chose_is_never_signed_in(api: Api) -> None:
    ada = await api.person(email="ada@example.com")
    chosen = {"headers": {"cookie": "tollgate_session=chosen-by-mallory"}}
    browser = Person(api.client())
    body = {"email": ada.email, "password": PASSWORD}

    answer = await browser.asks("POST", "/api/session", body, **chosen)

    assert answer.status_code == 204
    assert "chosen-by-mallory" not in answer.headers["set-cookie"]
    await Person(api.client()).is_refused(
        "GET", "/api/me", status=401, code="UNAUTHENTICATED", **chosen
    )


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer " + "x" * 5_000,
        "Bearer tg_" + "x" * 500,
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
        "Bearer a.b.c",
        "Bearer tg_\u00e9",
        "bearer",
        "Negotiate abc",
    ],
)
async def test_credentials_that_are_made_up_are_a_401_beside_a_good_cookie_too(
    api: Api, authorization: str
) -> None:
    ada = await api.person()
    headers = {"Authorization": authorization.encode("latin-1")}

    await ada.is_refused("GET", "/api/me", status=401, code="UNAUTHENTICATED", headers=headers)


BREAK = "x%0d%0aSet-Cookie:%20tollgate_session=evil%0d%0aevil:%20y"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", f"/api/deployments/{BREAK}", {}),
        ("GET", f"/api/modules?search={BREAK}", {}),
        ("GET", f"/api/modules?cursor={BREAK}", {}),
        ("GET", f"/api/{BREAK}", {}),
        ("GET", "/api/me", {"traceparent": BREAK, "Accept": BREAK, "Accept-Encoding": BREAK}),
        ("GET", "/api/me", {"If-None-Match": BREAK}),
        ("OPTIONS", "/api/me", {"Origin": BREAK, "Access-Control-Request-Method": "GET"}),
        ("POST", "/api/tokens", {"Idempotency-Key": BREAK}),
        ("GET", f"/auth/oidc/callback?state={BREAK}&code={BREAK}", {}),
    ],
)
async def test_nothing_that_is_sent_becomes_a_header_of_the_answer(
    api: Api, method: str, path: str, headers: dict[str, str]
) -> None:
    ada = await api.person()

    answer = await ada.asks(method, path, headers=headers)

    assert answer.status_code < 500, answer.text
    assert "evil" not in str(answer.headers.multi_items())


AMBIGUOUS = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "a length that is none": b"Content-Length: 2x\r\n\r\n{}",
    "an unknown transfer": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a name with a space": b"Content-Length : 2\r\n\r\n{}",
    "a header with a NUL": b"X-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_what_a_proxy_might_read_otherwise_is_not_taken(api: Api, rest: bytes) -> None:
    place = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = f"POST /api/session HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
    head += "Content-Type: application/json\r\n"
    writer.write(head.encode() + rest)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]


async def test_nobody_writes_anothers_forwarded_address(api: Api) -> None:
    """Without a trusted proxy the header is anybody's, and the throttle does not believe it."""
    body = {"email": "ada@example.com", "password": "not the password"}
    statuses = set()
    for number in range(12):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        stranger = Person(api.client())
        answer = await stranger.asks("POST", "/api/session", body, headers=headers)
        statuses.add(answer.status_code)

    assert statuses == {401, 429}
