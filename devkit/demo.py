"""What `tollgate up --demo` adds: accounts of every role, and a module repository to sync from.

Accounts are made by the gateway's own commands; everything else is asked for over HTTP, as any
client would. `demo.json` keeps it; a later start finds it there and only looks whether the example
modules have changed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from devkit.data_directory import read_json, write_json
from devkit.demo_repository import make_repository
from devkit.environment import Environment
from runtime.ids import new_secret

if TYPE_CHECKING:
    from runtime.process import Running

ROLES: Final = ("admin", "finance", "support", "partner", "agent", "user")
WELCOME_CREDITS: Final = 200
TOKEN_DAYS: Final = 365
SYNC_SECONDS_MAX: Final = 60.0
_CALL_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.1

Tell = Callable[[str, str], None]
Accounts = dict[str, dict[str, str]]


class DemoError(Exception):
    """The demo could not be set up; the message says which step failed, and how."""


async def prepare_demo(environment: Environment, tell: Tell) -> Accounts:
    """Return the demo accounts by role, with everything the demo needs there; idempotent."""
    path = environment.directory.demo
    demo = read_json(path) if path.exists() else {"accounts": {}, "commit": None}
    accounts: Accounts = demo["accounts"]
    repository = environment.directory.path.resolve() / "demo-repository"
    commit = await asyncio.to_thread(make_repository, repository)
    if set(accounts) != set(ROLES):
        accounts = await _make_accounts(environment)
        write_json(path, {"accounts": accounts, "commit": None})
    if demo["commit"] is None:
        await _introduce(environment, accounts)
    if commit != demo["commit"]:
        await _publish(environment, accounts["admin"], repository, tell)
        write_json(path, {"accounts": accounts, "commit": commit})
    return accounts


async def _make_accounts(environment: Environment) -> Accounts:
    """Return an account of each role; their e-mail addresses are taken over if they exist."""
    from services.gateway.accounts import create_token, ensure_user

    accounts: Accounts = {}
    async with _inside_gateway(environment) as running:
        for role in ROLES:
            email, password = f"{role}@demo.example", new_secret(12)
            roles = tuple(dict.fromkeys(("user", role)))
            accounts[role] = {
                "email": email,
                "password": password,
                "user_id": await ensure_user(
                    running, email=email, password=password, roles=roles, name=f"Demo {role}"
                ),
                "token": await create_token(running, email=email, name="demo", days=TOKEN_DAYS),
            }
    return accounts


@asynccontextmanager
async def _inside_gateway(environment: Environment) -> AsyncIterator["Running"]:
    from runtime.process import assemble
    from services.gateway.main import build
    from services.gateway.settings import GatewaySettings
    from services.wiring import WIRING

    told: dict[str, Any] = {
        name.removeprefix("TOLLGATE_").lower(): value
        for name, value in environment.settings("gateway").items()
    }
    settings = GatewaySettings(**told)
    async with assemble(build(settings), settings, WIRING) as running:
        yield running


async def _introduce(environment: Environment, accounts: Accounts) -> None:
    """Have the demo's agent be the one who brought its user, and the user have credits."""
    user_id = accounts["user"]["user_id"]
    async with _client(environment, accounts["admin"]) as admin:
        referrer = {"referred_by": accounts["agent"]["user_id"]}
        await _call(admin, "PATCH", f"/api/users/{user_id}", referrer)
        award = {"user_id": user_id, "credits": WELCOME_CREDITS, "reason": "Welcome to the demo"}
        await _call(admin, "POST", "/api/credits/awards", award, key="demo-welcome")


async def _publish(
    environment: Environment, admin_account: dict[str, str], repository: Path, tell: Tell
) -> None:
    """Name the repository in the settings, and wait until a sync of it has ended."""
    where = {"url": str(repository), "branch": "main"}
    async with _client(environment, admin_account) as admin:
        await _call(admin, "PATCH", "/api/settings", {"platform_repository": where})
        asked = await _call(admin, "POST", "/api/syncs", {"scope": "platform"})
        try:
            async with asyncio.timeout(SYNC_SECONDS_MAX):
                sync = await _ended_sync(admin, asked["id"])
        except TimeoutError:
            raise DemoError(f"the modules' sync takes over {SYNC_SECONDS_MAX:g} s") from None
    if sync["status"] == "FAILED":
        raise DemoError(f"the demo's modules could not be synced: {sync['error']}")
    outcomes = [module["outcome"] for module in sync["modules"]]
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in sorted(set(outcomes)))
    tell("demo", f"modules synced from {repository}: {counts}")


async def _ended_sync(admin: aiohttp.ClientSession, sync_id: str) -> dict[str, Any]:
    while True:
        sync = await _call(admin, "GET", f"/api/syncs/{sync_id}")
        if sync["status"] in {"DONE", "FAILED"}:
            return sync
        await asyncio.sleep(_POLL_SECONDS)


def _client(environment: Environment, account: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        environment.health_url("gateway"),
        headers={"Authorization": f"Bearer {account['token']}"},
        timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS_MAX),
    )


async def _call(
    client: aiohttp.ClientSession, method: str, path: str, body: Any = None, key: str | None = None
) -> dict[str, Any]:
    """Return what the gateway answers; `DemoError` with its own words where it refuses."""
    headers = {} if key is None else {"Idempotency-Key": key}
    try:
        async with client.request(method, path, json=body, headers=headers) as answer:
            told: dict[str, Any] = await answer.json(content_type=None) or {}
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise DemoError(f"{method} {path}: {error!r}") from error
    if not answer.ok:
        said = told.get("detail") or told.get("title") or told
        raise DemoError(f"{method} {path} answered {answer.status}: {said}")
    return told
