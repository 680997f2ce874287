"""Customers of a system to measure, who deploy one module over HTTP, and what they are answered."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.running import NotMeasuredError, System

CREDITS: Final = 1_000_000
_CALL_SECONDS_MAX: Final = 60.0
_SYNC_SECONDS_MAX: Final = 60.0
_POLL_SECONDS: Final = 0.1
_OK: Final = 300
_MODULE: Final = {
    "module.yaml": "name: measured\ntitle: Measured\ndescription: For measuring.\ncredit_cost: 3\n",
    "variables.tf": 'variable "name" {\n  type        = string\n  description = "A name."\n}\n',
    "main.tf": 'resource "terraform_data" "measured" {\n  input = var.name\n'
    '  provisioner "local-exec" {\n    command = "COMMAND"\n  }\n}\n',
}
NEVER_ENDS: Final = "sleep 3600"
"""A build that never ends by itself, so that those behind it wait and take no processor."""


class RefusedError(Exception):
    """The gateway answered with something else than success: status and body."""


@dataclass
class Customer:
    """A signed-in client."""

    client: aiohttp.ClientSession

    async def asks(self, method: str, path: str, body: Any = None) -> Any:
        """Return what is answered; `RefusedError` where that is no success."""
        async with self.client.request(method, path, json=body) as answer:
            told = await answer.read()
            if answer.status >= _OK:
                raise RefusedError(f"{method} {path}: {answer.status} {told[:500]!r}")
            return json.loads(told) if told else None


@dataclass
class Shop:
    """A system with one module, and customers with credits."""

    admin: Customer
    customers: list[Customer] = field(default_factory=list)
    module_id: str = ""

    async def deploys(self, customer: Customer, name: str = "x") -> Any:
        """Return what a customer's deployment is answered with."""
        body = {"module_id": self.module_id, "variables": {"name": name}}
        return await customer.asks("POST", "/api/deployments", body)


@asynccontextmanager
async def shop(
    up: System, folder: Path, *, customers: int, command: str = NEVER_ENDS
) -> AsyncIterator[Shop]:
    """Give a system with a module published, whose build runs a command, and so many customers."""
    url = up.endpoints["gateway"]
    accounts = json.loads((folder / "data" / "demo.json").read_text())["accounts"]
    async with AsyncExitStack() as stack:

        async def client(**headers: str) -> Customer:
            session = aiohttp.ClientSession(
                url,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS_MAX),
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.CookieJar(unsafe=True),
            )
            return Customer(await stack.enter_async_context(session))

        admin = await client(Authorization=f"Bearer {accounts['admin']['token']}")
        opened = Shop(admin)
        settings = {"signup_award": CREDITS, "self_registration": True}
        await admin.asks("PATCH", "/api/settings", settings)
        opened.module_id = await _publish(admin, _repository(folder / "modules", command))
        for number in range(customers):
            account = {
                "email": f"customer-{number}@example.org",
                "password": f"a-long-{number}-word",
            }
            newcomer = await client(Origin=url)
            await newcomer.asks("POST", "/api/users", account)
            await newcomer.asks("POST", "/api/session", account)
            token = await newcomer.asks("POST", "/api/tokens", {"name": "measuring"})
            opened.customers.append(await client(Authorization=f"Bearer {token['token']}"))
        yield opened


async def _publish(admin: Customer, repository: Path) -> str:
    where = {"platform_repository": {"url": str(repository), "branch": "main"}}
    await admin.asks("PATCH", "/api/settings", where)
    sync = await admin.asks("POST", "/api/syncs", {"scope": "platform"})
    deadline = time.monotonic() + _SYNC_SECONDS_MAX
    while (sync := await admin.asks("GET", f"/api/syncs/{sync['id']}"))["status"] == "RUNNING":
        if time.monotonic() > deadline:
            raise NotMeasuredError("the module's sync does not end")
        await asyncio.sleep(_POLL_SECONDS)
    page = await admin.asks("GET", "/api/modules?search=measured")
    found = [item["id"] for item in page["items"] if item["name"] == "measured"]
    if not found:
        raise NotMeasuredError(f"the module was not published: {sync}")
    return str(found[0])


def _repository(folder: Path, command: str) -> Path:
    module = folder / "measured"
    module.mkdir(parents=True)
    for name, text in _MODULE.items():
        (module / name).write_text(text.replace("COMMAND", command))
    git = ("git", "-C", str(folder), "-c", "user.name=bench", "-c", "user.email=bench@example.org")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "measured")):
        subprocess.run((*git, *words), check=True)
    return folder


def quantile(values: list[float], share: float) -> float:
    """Return the value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
