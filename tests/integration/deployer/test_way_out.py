"""The proxy that builds get out by: where it leads, and where it does not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp import web

from services.deployer.runner.way_out import Reach, WayOut, own_addresses

LOOPBACK = ("127.0.0.0/8",)
"""In these tests only, loopback stands for a network that builds may reach."""


@dataclass
class Tried:
    """A proxy that is up: its port, and what it has told the build's log."""

    port: int
    said: list[str] = field(default_factory=list)

    async def ask(self, request: bytes) -> bytes:
        """Return all that is answered to a request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def way_out(reach: Reach) -> AsyncIterator[Tried]:
    """Run a proxy."""
    listener = socket.create_server(("127.0.0.1", 0))
    tried = Tried(listener.getsockname()[1])
    async with WayOut(reach, tried.said.append).serve(listener):
        yield tried


@asynccontextmanager
async def website() -> AsyncIterator[int]:
    """Run a website that says what it was asked, and return its port."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.text()
        hidden = "Proxy-Authorization" in request.headers
        return web.Response(text=f"{request.method} {request.path_qs} {body} {hidden}")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_a_tunnel_passes_bytes_both_ways_until_both_sides_are_done() -> None:
    async with website() as port, way_out(Reach(LOOPBACK, frozenset())) as tried:
        answer = await tried.ask(
            f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /in/the?tunnel=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
    assert answer.endswith(b"GET /in/the?tunnel=1  False")


async def test_a_client_of_http_is_passed_on_without_what_is_meant_for_the_proxy() -> None:
    async with (
        website() as port,
        way_out(Reach(LOOPBACK, frozenset())) as tried,
        aiohttp.ClientSession() as client,
        client.post(
            f"http://127.0.0.1:{port}/a?b=c",
            data=b"x" * 200_000,
            proxy=f"http://127.0.0.1:{tried.port}",
            proxy_headers={"Proxy-Authorization": "for the proxy"},
            headers={"Proxy-Authorization": "for the proxy"},
        ) as response,
    ):
        said = await response.text()
    assert said == f"POST /a?b=c {'x' * 200_000} False"


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:1", "localhost:1", "[::1]:1", "10.0.0.1:1", "169.254.169.254:80", "0.0.0.0:1"],
)
async def test_what_is_not_public_is_refused_and_the_log_says_so(target: str) -> None:
    async with way_out(Reach((), own_addresses())) as tried:
        answer = await tried.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        plain = await tried.ask(f"GET http://{target}/ HTTP/1.1\r\n\r\n".encode())
    for each in (answer, plain):
        assert each.startswith(b"HTTP/1.1 403 builds may not reach ")
    assert len(tried.said) == 2
    assert tried.said[0].startswith("Not reachable from a build: ")


async def test_an_address_of_this_machine_is_refused_even_in_a_network_that_is_named() -> None:
    own = own_addresses()
    assert ip_address("127.0.0.1") in own
    async with website() as port, way_out(Reach(LOOPBACK, own)) as tried:
        answer = await tried.ask(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /not-for-a-proxy HTTP/1.1\r\n\r\n", b"400"),
        (b"GET ftp://example.com/ HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT example.com HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT example.com:99999 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", b"502"),
        (b"CONNECT no-such-name.invalid:1 HTTP/1.1\r\n\r\n", b"502"),
        (b"GET http://x/ HTTP/1.1\r\nA: " + b"a" * 70_000, b"400"),
    ],
    ids=["words", "path", "scheme", "no port", "port", "nobody there", "no such name", "too long"],
)
async def test_what_leads_nowhere_is_answered_with_a_reason(
    request_bytes: bytes, status: bytes
) -> None:
    async with way_out(Reach(LOOPBACK, frozenset())) as tried:
        answer = await tried.ask(request_bytes)
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert len(answer.split(b"\r\n")[0]) > len("HTTP/1.1 400 ")


async def test_no_more_is_said_in_the_log_than_somebody_reads() -> None:
    async with way_out(Reach((), own_addresses())) as tried:
        for _ in range(30):
            await tried.ask(b"CONNECT 10.0.0.1:1 HTTP/1.1\r\n\r\n")
    assert len(tried.said) == 20
