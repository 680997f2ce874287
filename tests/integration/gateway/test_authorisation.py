"""Who may make which call, over HTTP: every role, every call, one's own things and others'."""

from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.neighbours import deploys, publishes
from tests.integration.gateway.wallets import Ledger
from tests.unit.gateway.test_access import ANYONE, SIGNED_IN, TABLE

ROLES: Final = ("user", "partner", "agent", "finance", "support", "admin")
NOT_DESCRIBED: Final = frozenset(
    {"/healthz", "/readyz", "/metrics", "/api/openapi.json", "/api/docs"}
)
OPEN_QUERY: Final = frozenset({"GET /auth/oidc/callback"})


def address(call: str) -> tuple[str, str]:
    """Return a call's method and an address of it, of things that nobody has."""
    method, _, path = call.partition(" ")
    parts = ["nobodys" if part.startswith("{") else part for part in path.split("/")]
    return method, "/".join(parts)


async def test_the_table_has_every_call_that_is_described(api: Api) -> None:
    described = await Person(api.client()).gets("/api/openapi.json")
    calls = {
        f"{method.upper()} {path}"
        for path, operations in described["paths"].items()
        for method in operations
    }

    assert calls == {call for call in TABLE if call.partition(" ")[2] not in NOT_DESCRIBED}


@pytest.mark.parametrize("role", [None, *ROLES])
async def test_a_role_opens_the_calls_of_the_table_and_no_other(api: Api, role: str | None) -> None:
    """A parameter that no call has is refused after the door, before anything is done."""
    person = Person(api.client()) if role is None else await api.person(role)
    wrong = {}
    for call, who in TABLE.items():
        if call in OPEN_QUERY:
            continue
        answer = await person.asks(*address(call), params={"no-such-parameter": "1"})
        code = answer.json()["code"] if answer.status_code >= 400 else ""
        if who == ANYONE or (role is not None and (who == SIGNED_IN or role in who.split())):
            expected = (422, "INVALID_INPUT")
        else:
            expected = (401, "UNAUTHENTICATED") if role is None else (403, "FORBIDDEN")
        if (answer.status_code, code) != expected:
            wrong[call] = (answer.status_code, code, expected)

    assert not wrong


@dataclass(frozen=True)
class Things:
    """What Ada has."""

    ada: Person
    deployment: str
    token: str


async def things_of_ada(api: Api) -> Things:
    ada = await api.person()
    await publishes(api)
    await Ledger(api, ada.id).awards(100)
    deployer = await deploys(api, ada, project="secret-project")
    token = (await ada.posts("/api/tokens", {"name": "ci"}))["id"]
    return Things(ada, deployer.asked.deployment_id, token)


READERS: Final = frozenset({"finance", "support", "admin"})
MONEY: Final = frozenset({"finance", "admin"})
ADMIN: Final = frozenset({"admin"})

OTHERS: Final[list[tuple[str, str, Any, frozenset[str], int]]] = [
    # Method, path, body, which roles may, and what all others are answered.
    ("GET", "/api/deployments/{deployment}", None, READERS, 404),
    ("GET", "/api/deployments/{deployment}/logs", None, READERS, 404),
    ("GET", "/api/credits/balance?user_id={ada}", None, MONEY, 403),
    ("GET", "/api/credits/lots?user_id={ada}", None, MONEY, 403),
    ("GET", "/api/credits/history?user_id={ada}", None, MONEY, 403),
    ("GET", "/api/projects/costs?user_id={ada}", None, MONEY, 403),
    ("GET", "/api/deployments?user_id={ada}", None, READERS, 403),
    ("GET", "/api/deployments?scope=all", None, READERS, 403),
    ("GET", "/api/users/{ada}", None, ADMIN, 403),
    ("DELETE", "/api/tokens/{token}", None, frozenset(), 404),
    ("PUT", "/api/deployments/{deployment}/rating", {"stars": 5}, frozenset(), 404),
]


@pytest.mark.parametrize("role", ROLES)
async def test_what_is_anothers_is_for_those_that_the_table_says(api: Api, role: str) -> None:
    things = await things_of_ada(api)
    other = await api.person(role)
    wrong = {}
    for method, path, body, may, refused in OTHERS:
        there = path.format(deployment=things.deployment, ada=things.ada.id, token=things.token)
        nowhere = path.format(deployment="nobodys", ada="nobodys", token="nobodys")
        answer = await other.asks(method, there, body)
        made_up = await other.asks(method, nowhere, body)
        if role in may:
            if answer.status_code != 200:
                wrong[method, path] = answer.text
            continue
        seen = [
            {k: v for k, v in each.json().items() if k != "request_id"}
            for each in (answer, made_up)
        ]
        if answer.status_code != refused or (seen[0] != seen[1] and "{" in path):
            wrong[method, path] = answer.text

    assert not wrong


@pytest.mark.parametrize("role", ["user", "partner", "agent"])
async def test_no_list_and_no_search_tells_of_what_is_anothers(api: Api, role: str) -> None:
    things = await things_of_ada(api)
    other = await api.person(role)
    lists = [
        "/api/deployments",
        f"/api/deployments?search={things.deployment}",
        f"/api/deployments?search={things.ada.email}",
        "/api/deployments?project=secret-project",
        "/api/projects/costs",
        "/api/tokens",
        "/api/syncs",
        "/api/credits/history",
        "/api/credits/lots",
        "/api/modules",
    ]
    for path in lists:
        answer = await other.asks("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        for hers in (things.deployment, things.ada.id, things.ada.email, "secret-project"):
            assert hers not in answer.text, path


async def test_what_is_hers_is_hers(api: Api) -> None:
    things = await things_of_ada(api)
    for method, path, body, _, _ in OTHERS:
        if "scope=all" in path or path.startswith("/api/users") or body is not None:
            continue
        there = path.format(deployment=things.deployment, ada=things.ada.id, token=things.token)
        answer = await things.ada.asks(method, there)
        assert answer.status_code in {200, 204}, (path, answer.text)
