"""Connections that can only lead to the public internet, whatever a name resolves to.

A name is resolved, all its addresses are checked, and the connection is made to one of exactly
these. The check is repeated on the address that a socket is made for: the last moment before it is
connected, and one that an address written in a URL passes as well.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from contracts.webhook_rules import is_public, literal

Lookup = Callable[[str, int], Awaitable[list[tuple[socket.AddressFamily, str]]]]
"""What resolves a name and a port into addresses."""

THREADS_MAX: Final = 32
ADDRESSES_MAX: Final = 20


class NotPublicError(OSError):
    """A name leads, or a socket would lead, to where no webhook goes."""


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses one of which any address is not public."""

    def __init__(self, lookup: Lookup, *, allow_loopback: bool) -> None:
        self._lookup = lookup
        self._allow_loopback = allow_loopback

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return a name's addresses; `NotPublicError` where one of them is not public."""
        found = (await self._lookup(host, port))[:ADDRESSES_MAX]
        if not found:
            raise OSError("the name has no address")
        for _, address in found:
            check_address(address, allow_loopback=self._allow_loopback)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=each,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each, address in found
            if family in (socket.AF_UNSPEC, each)
        ]

    @override
    async def close(self) -> None:
        """Do nothing: what looks names up is somebody else's."""


class ThreadLookup:
    """Looks names up as the machine does, in threads of its own: a slow name delays no other."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="webhook-names")

    async def __call__(self, host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        """Return the addresses of a name."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, _getaddrinfo, host, port
        )
        return [(family, str(address[0])) for family, _, _, _, address in found]

    def close(self) -> None:
        """Let the threads end; they are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def public_socket(*, allow_loopback: bool) -> Callable[[Any], socket.socket]:
    """Return what makes the socket for an address, and makes none for one that is not public."""

    def make(address_info: Any) -> socket.socket:
        family, kind, protocol, _, address = address_info
        check_address(str(address[0]), allow_loopback=allow_loopback)
        return socket.socket(family, kind, protocol)

    return make


def check_address(address: str, *, allow_loopback: bool) -> None:
    """Raise `NotPublicError` where no webhook goes to an address."""
    if is_public(address):
        return
    ip = literal(address)
    if allow_loopback and ip is not None and ip.is_loopback:
        return
    raise NotPublicError("the address is not on the public internet")


def _getaddrinfo(host: str, port: int) -> list[Any]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
