"""A listener to server-sent events, as a test needs it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.integration.gateway.api import PATIENCE_SECONDS, Person


@dataclass
class Listener:
    """What came so far."""

    lines: AsyncIterator[str]
    heard: list[tuple[str, str, str]] = field(default_factory=list)

    async def next(self) -> tuple[str, str, str]:
        """Return the next event: kind, id, data; fail after a while."""
        fields: dict[str, list[str]] = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in self.lines:
                if line:
                    name, _, value = line.partition(":")
                    fields.setdefault(name, []).append(value.removeprefix(" "))
                elif "event" in fields:
                    heard = (
                        fields["event"][0],
                        "".join(fields.get("id", [])),
                        "\n".join(fields["data"]),
                    )
                    self.heard.append(heard)
                    return heard
                else:
                    fields = {}
        raise EOFError("the stream has ended")

    async def until(self, kind: str, **values: Any) -> dict[str, Any]:
        """Return the data of the next event of this kind with these values."""
        while True:
            heard, _, data = await self.next()
            if heard == kind:
                found: dict[str, Any] = json.loads(data)
                if values.items() <= found.items():
                    return found

    async def ends(self) -> None:
        """Return when the stream ends."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _ in self.lines:
                pass


@asynccontextmanager
async def listening(
    person: Person, path: str = "/api/events", **headers: str
) -> AsyncIterator[Listener]:
    """Give a listener whose stream has begun."""
    timeout = httpx2.Timeout(10, read=PATIENCE_SECONDS)
    head = {"Accept": "text/event-stream", **headers}
    async with person.client.stream("GET", path, headers=head, timeout=timeout) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        async for line in lines:
            if line == "":
                break
        yield Listener(lines)
