"""Somebody who uses Tollgate over HTTP while a story is told: each call is shown as it is made."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from rich.console import Console

from runtime.clock import monotonic_seconds
from runtime.ids import new_id

ANSWER_SECONDS_MAX: Final = 15.0
WAIT_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.1
SILENCE_SECONDS_MAX: Final = 40.0
LINE_BYTES_MAX: Final = 1024**2
_OK: Final = 200
_ACCEPTED: Final = 202


class StepFailedError(Exception):
    """Something did not go as the story says."""


class Guest:
    """One account with its session. `name` is who it is in the story."""

    def __init__(self, console: Console, url: str, name: str) -> None:
        self.name = name
        self.email = f"{name.lower()}@example.org"
        self.password = f"{name.lower()}-likes-long-passwords"
        self.id = ""
        self._console = console
        self._origin = url
        self._session = aiohttp.ClientSession(
            base_url=url,
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            headers={"Origin": url},
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX),
            read_bufsize=LINE_BYTES_MAX,
        )

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    async def signs_up(self) -> None:
        """Register, and sign in."""
        account = {"email": self.email, "password": self.password, "name": self.name}
        await self.posts("/api/users", account)
        await self.signs_in()

    async def signs_in(self) -> None:
        """Begin a session."""
        credentials = {"email": self.email, "password": self.password}
        await self.call("POST", "/api/session", credentials, status=204)
        self.id = (await self.gets("/api/me"))["id"]

    async def gets(self, path: str) -> Any:
        """Return what a read answers; reads are not shown."""
        return await self.call("GET", path, shown=False, status=_OK)

    async def posts(self, path: str, body: Any, *, status: int = 201) -> Any:
        """Return what a POST answers."""
        return await self.call("POST", path, body, status=status)

    async def patches(self, path: str, body: Any) -> Any:
        """Return what a PATCH answers."""
        return await self.call("PATCH", path, body, status=_OK)

    async def call(
        self, method: str, path: str, body: Any = None, *, status: int, shown: bool = True
    ) -> Any:
        """Return what a call answers; `StepFailedError` where its status is another."""
        headers = {"Idempotency-Key": new_id()} if method == "POST" else {}
        async with self._session.request(method, path, json=body, headers=headers) as response:
            answered, text = response.status, await response.text()
        value = json.loads(text) if text.startswith(("{", "[")) else text
        if shown:
            self._show(method, path, answered, value)
        if answered != status:
            raise StepFailedError(
                f"{self.name}: {method} {path} answered {answered}, not {status}: {text[:2_000]}"
            )
        return value

    async def until(self, path: str, *, ended: frozenset[str]) -> Any:
        """Return what a read answers once its `status` is one of these."""
        deadline = monotonic_seconds() + WAIT_SECONDS_MAX
        while (found := await self.gets(path))["status"] not in ended:
            if monotonic_seconds() > deadline:
                raise StepFailedError(f"{path} does not end within {WAIT_SECONDS_MAX:g} s")
            await asyncio.sleep(POLL_SECONDS)
        return found

    @asynccontextmanager
    async def listening(self, path: str) -> AsyncIterator[AsyncIterator[str]]:
        """Give a log's lines as they come live, until it ends."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS_MAX)
        headers = {"Accept": "text/event-stream"}
        async with self._session.get(path, headers=headers, timeout=timeout) as response:
            if response.status != _OK:
                raise StepFailedError(f"GET {path} answered {response.status}")
            yield _data_lines(response)

    def _show(self, method: str, path: str, status: int, value: Any) -> None:
        code = value.get("code") if isinstance(value, dict) else None
        told = f" {code}" if code else ""
        colour = "green" if status < _ACCEPTED + 98 else "yellow"
        self._console.print(
            f"  [dim]{self.name:>7}[/]  {method:<6} {path}  [{colour}]{status}{told}[/]",
            highlight=False,
        )


async def _data_lines(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """Give the data lines of `log` events until there is an `end`."""
    kind = ""
    async for line in response.content:
        name, _, value = line.decode(errors="replace").rstrip("\r\n").partition(":")
        if name == "event":
            kind = value.strip()
        if kind == "end":
            return
        if name == "data":
            yield value.removeprefix(" ")
