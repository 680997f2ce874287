"""Accounts: found and paged, their secrets never read, and made from the command line."""

import pytest
from pydantic import SecretStr

from runtime.process import assemble
from runtime.refusal import Refusal
from services.gateway.accounts import create_token, create_user, ensure_user
from services.gateway.main import build
from services.gateway.settings import GatewaySettings
from services.wiring import WIRING
from tests.integration.gateway.api import PASSWORD, Api, Person


async def test_users_are_found_and_paged(api: Api) -> None:
    admin = await api.person("admin", email="boss@example.com")
    for number in range(5):
        await api.person("agent" if number % 2 else "user", email=f"person{number}@example.com")

    async def all_of(**parameters: str) -> list[str]:
        emails: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await admin.gets("/api/users", limit=2, **parameters, **cursor)
            emails += [user["email"] for user in page["items"]]
            if page["next_cursor"] is None:
                return emails
            cursor = {"cursor": page["next_cursor"]}

    assert await all_of(search="PERSON") == [f"person{n}@example.com" for n in (4, 3, 2, 1, 0)]
    assert await all_of(role="agent") == ["person3@example.com", "person1@example.com"]
    assert await all_of(role="admin", active="true") == ["boss@example.com"]
    assert await all_of(active="false") == []


async def test_a_repositorys_token_is_written_and_never_read(api: Api) -> None:
    ada = await api.person("partner")
    repository = {"url": "https://example.com/a.git", "branch": "main", "token": "hush-hush"}
    repository["webhook_secret"] = "whisper"

    answer = await ada.asks("PATCH", "/api/me", {"name": "Ada", "repository": repository})
    kept = await api.running.pool.fetchval("select accounts::text from accounts limit 1")

    assert answer.json()["repository"] == {
        "url": "https://example.com/a.git",
        "branch": "main",
        "token_configured": True,
        "webhook_secret_configured": True,
    }
    for secret in ("hush-hush", "whisper"):
        assert secret not in answer.text
        assert secret not in kept
    without = await ada.asks("PATCH", "/api/me", {"repository": {"token": None}})
    assert without.json()["repository"]["token_configured"] is False
    await ada.is_refused(
        "PATCH", "/api/me", {"repository": {"url": "ext::sh -c id"}},
        status=422, code="INVALID_REPOSITORY",
    )  # fmt: skip


async def test_what_one_is_told_of_is_ones_own_to_say(api: Api) -> None:
    ada, bob = await api.person(), await api.person()
    at_first = (await ada.gets("/api/me"))["notifications"]

    less = await ada.asks("PATCH", "/api/me", {"notifications": {"credits": False}})
    await ada.asks("PATCH", "/api/me", {"name": "Ada", "notifications": {}})

    assert at_first == {"deployments": True, "credits": True}
    assert less.json()["notifications"] == {"deployments": True, "credits": False}
    assert (await ada.gets("/api/me"))["notifications"] == less.json()["notifications"]
    assert (await bob.gets("/api/me"))["notifications"] == at_first
    for wrong in ({"sms": True}, {"credits": None}, {"credits": "no"}, None):
        await ada.is_refused(
            "PATCH", "/api/me", {"notifications": wrong}, status=422, code="INVALID_INPUT"
        )


async def test_accounts_are_made_from_the_command_line_by_the_same_rules(api: Api) -> None:
    settings = settings_for_same(api)
    async with assemble(build(settings), settings, WIRING) as inside:
        user_id = await create_user(
            inside, email="root@example.com", password=PASSWORD, roles=("admin",), name="Root"
        )
        again = await ensure_user(
            inside,
            email="root@example.com",
            password="another password",
            roles=("admin", "finance"),
        )
        token = await create_token(inside, email="root@example.com")
        with pytest.raises(Refusal, match="EMAIL_TAKEN"):
            await create_user(inside, email="root@example.com", password=PASSWORD, roles=("user",))
        with pytest.raises(Refusal, match="INVALID_ROLE"):
            await create_user(inside, email="x@example.com", password=PASSWORD, roles=("king",))
        with pytest.raises(Refusal, match="NOT_FOUND"):
            await create_token(inside, email="nobody@example.com")

    assert user_id == again
    me = await Person(api.client()).asks(
        "GET", "/api/me", headers={"Authorization": f"Bearer {token}"}
    )
    assert me.json()["roles"] == ["user", "finance", "admin"]


def settings_for_same(api: Api) -> GatewaySettings:
    dsn = api.running.settings.postgres_dsn.get_secret_value()
    return GatewaySettings(
        postgres_dsn=SecretStr(dsn), nats_user="gateway", nats_password=SecretStr("")
    )
