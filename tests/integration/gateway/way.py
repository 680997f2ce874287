"""The way to a database, which can be closed as a network is: what is open is cut off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tests.support.environment import Database


@dataclass
class Way:
    """Passes bytes on to a database, while it is open; `database` leads through it."""

    target: Database
    server: asyncio.Server | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def database(self) -> Database:
        parts = urlsplit(self.target.dsn)
        before = f"{parts.hostname}:{parts.port}"
        dsn = self.target.dsn.replace(before, f"127.0.0.1:{self.port}")
        return replace(self.target, dsn=dsn)

    async def open(self) -> None:
        """Let connections through, at the same address as before."""
        self.server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut all connections off, and take no new ones."""
        if self.server is not None:
            self.server.close()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()
        await asyncio.sleep(0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.target.dsn)
        inner_reader, inner_writer = await asyncio.open_connection(parts.hostname, parts.port)
        self._open |= {writer, inner_writer}
        await asyncio.gather(
            _copy(reader, inner_writer), _copy(inner_reader, writer), return_exceptions=True
        )


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def way_to(database: Database) -> AsyncIterator[Way]:
    """Give an open way to a database."""
    way = Way(database)
    await way.open()
    try:
        yield way
    finally:
        await way.close()
