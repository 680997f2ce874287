"""The way out of a build's room: an HTTP proxy that leads to public addresses, and not to us.

A room has no network. Terraform, its providers and what else honours `HTTPS_PROXY` come here; the
name is resolved outside of the room, and what is connected to is the very address that was judged.
Nothing on this machine can be reached, nor any private network that the settings do not name.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

import psutil

HEAD_BYTES_MAX: Final = 32_768
HEAD_SECONDS_MAX: Final = 30.0
CONNECT_SECONDS_MAX: Final = 20.0
CONNECTIONS_MAX: Final = 256
ADDRESSES_MAX: Final = 4
PIECE_BYTES: Final = 65_536
REFUSALS_SAID_MAX: Final = 20
HTTP_PORT: Final = 80
PORT_MAX: Final = 65_535
_WORDS: Final = 3
_HOP_BY_HOP: Final = ("proxy-", "connection:", "keep-alive:")
_LEADS_TO_IPV4: Final = tuple(
    IPv6Network(network) for network in ("64:ff9b::/96", "2002::/16", "2001::/32", "::/96")
)
"""Addresses of IPv6 that stand for ones of IPv4, which would be judged by the wrong number."""

Address = IPv4Address | IPv6Address


class NotReachableError(Exception):
    """A build asked for what it may not reach, or what nobody answers at."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Reach:
    """What builds may reach: public addresses and `networks`, never one that is our `own`."""

    networks: tuple[str, ...]
    own: frozenset[Address]

    def includes(self, address: Address) -> bool:
        """Return whether a build may reach an address."""
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is not None:
                return self.includes(address.ipv4_mapped)
            if any(address in network for network in _LEADS_TO_IPV4):
                return False
        if address in self.own:
            return False
        if any(address in ip_network(network) for network in self.networks):
            return True
        return address.is_global and not address.is_multicast and not address.is_reserved


def own_addresses() -> frozenset[Address]:
    """Return every address of this machine's."""
    found: set[Address] = set()
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family in {socket.AF_INET, socket.AF_INET6}:
                found.add(ip_address(each.address.partition("%")[0]))
    return frozenset(found)


class WayOut:
    """Lets connections out; what is refused is told to `say`, which a build's log is."""

    def __init__(self, reach: Reach, say: Callable[[str], None]) -> None:
        self._reach = reach
        self._say = say
        self._said = 0
        self._open = 0

    @asynccontextmanager
    async def serve(self, listener: socket.socket) -> AsyncIterator[None]:
        """Answer on a listener until the block ends; every connection ends with it."""
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, sock=listener, limit=HEAD_BYTES_MAX)
        try:
            yield
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            await self._pass_on(reader, writer)
        except NotReachableError as error:
            await _refuse(writer, error)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return  # whoever went away knows
        except asyncio.LimitOverrunError:
            await _refuse(writer, NotReachableError(HTTPStatus.BAD_REQUEST, "too long a request"))
        finally:
            self._open -= 1
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS_MAX):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        host, port, first = _asked(head)
        if self._open > CONNECTIONS_MAX:
            what = f"more than {CONNECTIONS_MAX} connections at once"
            raise NotReachableError(HTTPStatus.TOO_MANY_REQUESTS, what)
        there, back = await self._connect(host, port)
        try:
            if first is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                back.write(first)
            await _both_ways((reader, back), (there, writer))
        finally:
            back.close()

    async def _connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address of a name's that may be reached, and answers."""
        addresses = await _resolve(host, port)
        allowed = [address for address in addresses if self._reach.includes(address)]
        if not allowed:
            self._tell(f"Not reachable from a build: {host}, port {port}")
            what = f"builds may not reach {host}: it is no public address"
            raise NotReachableError(HTTPStatus.FORBIDDEN, what)
        for address in allowed[:ADDRESSES_MAX]:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    return await asyncio.open_connection(str(address), port)
        what = f"nobody answers at {host}, port {port}"
        raise NotReachableError(HTTPStatus.BAD_GATEWAY, what)

    def _tell(self, text: str) -> None:
        self._said += 1
        if self._said <= REFUSALS_SAID_MAX:
            self._say(text)


def _asked(head: str) -> tuple[str, int, bytes | None]:
    """Return host and port that are asked for, and what to send there first, if not a tunnel."""
    line, _, rest = head.partition("\r\n")
    words = line.split(" ")
    if len(words) != _WORDS:
        raise NotReachableError(HTTPStatus.BAD_REQUEST, "a request has three words")
    method, target, version = words
    try:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotReachableError(HTTPStatus.BAD_REQUEST, f"not understood: {error}") from error
    if not host or (method != "CONNECT" and parts.scheme != "http"):
        raise NotReachableError(HTTPStatus.BAD_REQUEST, "a request names a host")
    if method == "CONNECT":
        if port is None:
            raise NotReachableError(HTTPStatus.BAD_REQUEST, "a tunnel needs a port")
        return host, port, None
    path = parts._replace(scheme="", netloc="").geturl() or "/"
    kept = [h for h in rest.split("\r\n") if h and not h.lower().startswith(_HOP_BY_HOP)]
    lines = (f"{method} {path} {version}", *kept, "Connection: close", "", "")
    return host, port or HTTP_PORT, "\r\n".join(lines).encode("latin-1")


async def _resolve(host: str, port: int) -> Sequence[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        what = f"there is no address of {host}"
        raise NotReachableError(HTTPStatus.BAD_GATEWAY, what) from error
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


async def _both_ways(
    *directions: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Pass bytes on until both sides have said all."""
    async with asyncio.TaskGroup() as group:
        for reader, writer in directions:
            group.create_task(_one_way(reader, writer))


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


async def _refuse(writer: asyncio.StreamWriter, error: NotReachableError) -> None:
    """Say why not, where clients show it: in the line of the status."""
    reason = str(error).encode("ascii", "replace").decode().replace("\r", "").replace("\n", "")
    head = f"HTTP/1.1 {error.status.value} {reason}\r\nConnection: close\r\nContent-Length: 0\r\n"
    with suppress(OSError):
        writer.write(f"{head}\r\n".encode())
        await writer.drain()
