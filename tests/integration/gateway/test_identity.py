"""Who you are: registering, signing in, tokens, roles; and that each takes effect at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from contracts.gateway.v1 import UserRegistered, UserRolesChanged
from runtime.refusal import Refusal
from services.gateway.account_rows import NewAccount
from services.gateway.decider.users import Register
from services.gateway.handlers import RegisterUser
from services.gateway.sign_in import ADDRESS_HERE
from tests.integration.gateway.api import PASSWORD, Api, Person
from tests.integration.gateway.wallets import Ledger


async def test_somebody_registers_signs_in_and_out(api: Api) -> None:
    ada = Person(api.client())
    body = {"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada"}

    user = await ada.posts("/api/users", body)
    await ada.is_refused("GET", "/api/me", status=401, code="UNAUTHENTICATED")
    signed_in = await ada.asks(
        "POST", "/api/session", {"email": "ada@example.COM", "password": PASSWORD}
    )
    me = await ada.gets("/api/me")
    await ada.asks("DELETE", "/api/session")

    assert user["roles"] == ["user"]
    assert user["active"] is True
    assert signed_in.status_code == 204
    cookie = signed_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert (me["id"], me["email"], me["name"]) == (user["id"], "Ada@Example.com", "Ada")
    await ada.is_refused("GET", "/api/me", status=401, code="UNAUTHENTICATED")


async def test_an_event_tells_that_a_user_came_and_nothing_that_names_them(api: Api) -> None:
    ada = Person(api.client())
    user = await ada.posts(
        "/api/users", {"email": "ada@example.com", "password": PASSWORD, "name": "Ada Lovelace"}
    )

    told = await api.asked(UserRegistered)
    bodies = await api.running.pool.fetch(
        "select body from outbox union all select body from facts"
    )

    assert (told.data.user_id, told.data.roles) == (user["id"], ("user",))
    assert not any("example.com" in row["body"] or "Lovelace" in row["body"] for row in bodies)


async def test_an_address_has_one_account_however_it_is_spelt(api: Api) -> None:
    person = Person(api.client())
    await person.posts("/api/users", {"email": "ada@example.com", "password": PASSWORD})

    problem = await person.is_refused(
        "POST",
        "/api/users",
        {"email": "ADA@example.com", "password": PASSWORD},
        status=409,
        code="EMAIL_TAKEN",
    )

    assert problem["errors"][0]["pointer"] == "/email"


async def test_two_who_take_an_address_at_once_get_one_account(api: Api) -> None:
    def command(user_id: str) -> RegisterUser:
        account = NewAccount(
            email="ada@example.com", name=None, password_hash="-", referral_code=user_id
        )
        register = Register(roles=("user",), referred_by=None)
        return RegisterUser(actor="x", user_id=user_id, register=register, account=account)

    ended = await asyncio.gather(
        *(api.running.processor.execute(command(user_id)) for user_id in ("one", "two")),
        return_exceptions=True,
    )

    refusals = [each for each in ended if isinstance(each, Refusal)]
    assert [refusal.code for refusal in refusals] == ["EMAIL_TAKEN"]
    assert await api.running.pool.fetchval("select count(*) from users") == 1
    assert (
        await api.running.pool.fetchval("select count(*) from facts where stream like 'user-%'")
        == 1
    )


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("email", "nobody", "INVALID_EMAIL"),
        ("password", "short", "INVALID_PASSWORD"),
        ("name", "", "INVALID_NAME"),
        ("referral_code", "NOBODYS", "INVALID_INPUT"),
        ("email", 7, "INVALID_INPUT"),
        ("colour", "red", "INVALID_INPUT"),
    ],
)
async def test_what_is_wrong_with_a_registration_is_named(
    api: Api, field: str, value: object, code: str
) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD, field: value}

    problem = await Person(api.client()).is_refused(
        "POST", "/api/users", body, status=422, code=code
    )

    assert [error["pointer"] for error in problem["errors"]] == [f"/{field}"]
    assert await api.running.pool.fetchval("select count(*) from accounts") == 0


async def test_registration_can_be_closed_to_all_but_admins(api: Api) -> None:
    admin = await api.person("admin")
    await admin.asks("PATCH", "/api/settings", {"self_registration": False})
    body = {"email": "ada@example.com", "password": PASSWORD}

    await Person(api.client()).is_refused(
        "POST", "/api/users", body, status=403, code="REGISTRATION_CLOSED"
    )
    await admin.posts("/api/users", body)


async def test_a_registration_waits_for_the_award_that_is_promised(api: Api) -> None:
    admin = await api.person("admin")
    await admin.asks("PATCH", "/api/settings", {"signup_award": 30})
    ada = Person(api.client())

    asking = asyncio.create_task(
        ada.posts("/api/users", {"email": "ada@example.com", "password": PASSWORD})
    )
    told = await api.asked(UserRegistered, after=1)
    await Ledger(api, told.data.user_id).awards(30, correlation_id=told.correlationid)
    user = await asking

    balance = await admin.gets("/api/credits/balance", user_id=user["id"])
    assert balance["awarded"] == 30


async def test_an_agents_code_makes_them_the_referrer(api: Api) -> None:
    agent = await api.person("agent")
    code = (await agent.gets("/api/me"))["referral_code"]

    user = await Person(api.client()).posts(
        "/api/users", {"email": "ada@example.com", "password": PASSWORD, "referral_code": code}
    )

    assert user["referred_by"] == agent.id


async def test_wrong_is_wrong_whether_there_is_such_an_account_or_not(api: Api) -> None:
    ada = await api.person(email="ada@example.com")
    stranger = Person(api.client())
    problems = []
    for email in (ada.email, "nobody@example.com"):
        body = {"email": email, "password": "not the password"}
        problem = await stranger.is_refused(
            "POST", "/api/session", body, status=401, code="BAD_CREDENTIALS"
        )
        problems.append({k: v for k, v in problem.items() if k != "request_id"})

    assert problems[0] == problems[1]


async def test_whoever_guesses_is_slowed_down_on_every_address_alike(api: Api) -> None:
    await api.person(email="ada@example.com")
    for email in ("ada@example.com", "nobody@example.com"):
        stranger = Person(api.client())
        body = {"email": email, "password": "not the password"}
        answers = [
            (await stranger.asks("POST", "/api/session", body)).status_code
            for _ in range(int(ADDRESS_HERE.size) + 1)
        ]
        problem = await stranger.asks("POST", "/api/session", body)

        assert answers == [*[401] * int(ADDRESS_HERE.size), 429]
        assert problem.status_code == 429
        assert int(problem.headers["retry-after"]) > 0


async def test_a_sign_in_ends_the_session_that_was_before(api: Api) -> None:
    ada = await api.person(email="ada@example.com")
    before = ada.client.cookies["tollgate_session"]

    await ada.asks("POST", "/api/session", {"email": ada.email, "password": PASSWORD})
    after = ada.client.cookies["tollgate_session"]
    old = Person(api.client())

    assert before != after
    await old.is_refused(
        "GET", "/api/me", status=401, code="UNAUTHENTICATED",
        headers={"cookie": f"tollgate_session={before}"},
    )  # fmt: skip


async def test_no_session_and_no_token_is_kept_in_the_clear(api: Api) -> None:
    ada = await api.person()
    token = (await ada.posts("/api/tokens", {"name": "ci"}))["token"]
    cookie = ada.client.cookies["tollgate_session"]

    rows = await api.running.pool.fetch(
        """select sessions::text as row from sessions
           union all select api_tokens::text from api_tokens"""
    )

    assert token.startswith("tg_")
    assert not any(token in row["row"] or cookie in row["row"] for row in rows)


async def test_a_token_does_what_its_scopes_say_until_it_is_revoked(api: Api) -> None:
    ada = await api.person()
    made = await ada.posts("/api/tokens", {"name": "ci", "scopes": ["read"]})
    program = Person(api.client())
    as_program = {"headers": {"Authorization": f"Bearer {made['token']}"}}

    assert (await program.asks("GET", "/api/me", **as_program)).json()["id"] == ada.id
    await program.is_refused(
        "PATCH", "/api/me", {"name": "x"}, status=403, code="INSUFFICIENT_SCOPE", **as_program
    )
    listed = (await ada.gets("/api/tokens"))["items"]
    assert [(t["id"], t["scopes"], "token" in t) for t in listed] == [(made["id"], ["read"], False)]

    assert (await ada.asks("DELETE", f"/api/tokens/{made['id']}")).status_code == 204
    refused = await program.asks("GET", "/api/me", **as_program)
    assert refused.status_code == 401
    assert "invalid_token" in refused.headers["www-authenticate"]


async def test_a_token_makes_none_that_may_more_or_lives_longer(api: Api) -> None:
    ada = await api.person()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()  # noqa: DTZ005, TID251 - a client's
    writer = await ada.posts("/api/tokens", {"name": "w", "scopes": ["write"], "expires_at": soon})
    program = Person(api.client())
    as_program = {"headers": {"Authorization": f"Bearer {writer['token']}"}}

    await program.is_refused(
        "POST", "/api/tokens", {"name": "r", "scopes": ["read"]},
        status=403, code="INSUFFICIENT_SCOPE", **as_program,
    )  # fmt: skip
    later = await program.asks(
        "POST", "/api/tokens", {"name": "w2", "scopes": ["write"]}, **as_program
    )
    assert later.json()["expires_at"] <= writer["expires_at"]


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer tg_nothing", "Basic YTpi", "Bearer eyJ.eyJ.", "x"]
)
async def test_credentials_that_are_none_are_a_401(api: Api, header: str) -> None:
    await Person(api.client()).is_refused(
        "GET", "/api/me", status=401, code="UNAUTHENTICATED", headers={"Authorization": header}
    )


async def test_a_role_takes_effect_at_the_next_request(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    await ada.is_refused("GET", "/api/users", status=403, code="FORBIDDEN")

    await admin.asks("PATCH", f"/api/users/{ada.id}", {"roles": ["support"]})
    await ada.gets("/api/users")
    told = await api.asked(UserRolesChanged)

    assert (told.data.user_id, told.data.roles) == (ada.id, ("user", "support"))
    assert told.data.changed_by == admin.id


async def test_whoever_is_deactivated_is_out_at_once(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    token = (await ada.posts("/api/tokens", {"name": "ci"}))["token"]

    await admin.asks("PATCH", f"/api/users/{ada.id}", {"active": False})

    await ada.is_refused("GET", "/api/me", status=401, code="UNAUTHENTICATED")
    bearer = {"Authorization": f"Bearer {token}"}
    await Person(api.client()).is_refused(
        "GET", "/api/me", status=401, code="UNAUTHENTICATED", headers=bearer
    )
    await ada.is_refused(
        "POST", "/api/session", {"email": ada.email, "password": PASSWORD},
        status=403, code="ACCOUNT_INACTIVE",
    )  # fmt: skip


async def test_the_last_admin_stays(api: Api) -> None:
    admin = await api.person("admin")
    for method, path, body in (
        ("PATCH", f"/api/users/{admin.id}", {"roles": []}),
        ("PATCH", f"/api/users/{admin.id}", {"active": False}),
        ("DELETE", "/api/me", None),
    ):
        await admin.is_refused(method, path, body, status=409, code="LAST_ADMIN")

    other = await api.person("admin")
    assert (await admin.asks("DELETE", "/api/me")).status_code == 204
    await other.is_refused("DELETE", "/api/me", status=409, code="LAST_ADMIN")


async def test_of_two_admins_who_leave_at_once_one_stays(api: Api) -> None:
    admins = [await api.person("admin") for _ in range(2)]

    answers = await asyncio.gather(*(admin.asks("DELETE", "/api/me") for admin in admins))

    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_a_change_of_what_has_changed_is_refused(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    tag = (await admin.asks("GET", f"/api/users/{ada.id}")).headers["etag"]
    first = await admin.asks(
        "PATCH", f"/api/users/{ada.id}", {"roles": ["agent"]}, headers={"If-Match": tag}
    )

    assert first.status_code == 200
    await admin.is_refused(
        "PATCH", f"/api/users/{ada.id}", {"roles": ["partner"]},
        status=412, code="PRECONDITION_FAILED", headers={"If-Match": tag},
    )  # fmt: skip
    unchanged = await admin.asks(
        "GET", f"/api/users/{ada.id}", headers={"If-None-Match": first.headers.get("etag", "")}
    )
    assert unchanged.json()["roles"] == ["user", "agent"]
