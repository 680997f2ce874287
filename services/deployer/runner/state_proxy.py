"""Stands between Terraform and the deployer, so that an outage is not the module's failure.

Terraform would try a few times, then give up and fail a build whose resources are all there. This
waits instead: for as long as the build may go on without being heard. Once the build is being
stopped nobody waits any more; a state is then kept on disk until somebody takes it, and the last
one known is given, which is current as long as the build has the lock.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from services.deployer.runner.output_secrets import OutputSecrets
from services.deployer.runner.reporting import NOT_NOW
from services.deployer.terraform import STATE_BYTES_MAX, outputs_in

TRY_SECONDS_MAX: Final = 60.0
RETRY_SECONDS: Final = 0.3
_PASSED_ON: Final = ("Authorization", "Content-Type", "Content-MD5")


def state_address(port: int) -> str:
    """Return where Terraform finds its state."""
    return f"http://127.0.0.1:{port}/state"


class StateProxy:
    """Passes requests for the state on, with whatever Terraform proves itself by.

    What a state that passes has of secrets is told to `secrets` first.
    """

    def __init__(
        self,
        state_url: str,
        parked: Path,
        is_worth_waiting: Callable[[], bool],
        secrets: OutputSecrets,
    ) -> None:
        self._state_url = state_url
        self._secrets = secrets
        self._parked = parked
        self._is_worth_waiting = is_worth_waiting
        self._known: tuple[int, bytes] | None = None
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TRY_SECONDS_MAX), auto_decompress=False
        )
        app = web.Application(client_max_size=STATE_BYTES_MAX)
        app.router.add_route("*", "/state", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    @asynccontextmanager
    async def serve(self, listener: socket.socket) -> AsyncIterator[None]:
        """Answer on a listener until the block ends."""
        site = web.SockSite(self._runner, listener)
        await site.start()
        try:
            yield
        finally:
            await site.stop()

    async def listen(self) -> str:
        """Listen on this machine from now on; return where."""
        if not self._runner.addresses:
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return state_address(self._runner.addresses[0][1])

    @property
    def newest(self) -> bytes:
        """The newest state that Terraform read or wrote, empty where there is none."""
        return b"" if self._known is None else self._known[1]

    async def outputs(self) -> dict[str, Any]:
        """Return the outputs of the newest state."""
        return await asyncio.to_thread(outputs_in, self.newest)

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.method == "POST":
            self._secrets.are_in(await asyncio.to_thread(outputs_in, body))
        while True:
            answer = await self._ask(request, body)
            if answer is not None:
                return answer
            if not self._is_worth_waiting():
                return await self._answer_alone(request, body)
            await asyncio.sleep(RETRY_SECONDS)

    async def _ask(self, request: web.Request, body: bytes) -> web.Response | None:
        """Return the deployer's answer, or nothing while it cannot give one."""
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        try:
            async with self._session.request(
                request.method,
                self._state_url,
                params=request.query_string or None,
                data=body or None,
                headers=headers,
            ) as response:
                answer = await response.read()
                if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    return None
                if request.method == "GET":
                    self._secrets.are_in(await asyncio.to_thread(outputs_in, answer))
                self._learn(request.method, response.status, body, answer)
                return web.Response(
                    status=response.status, body=answer, content_type=response.content_type
                )
        except NOT_NOW as error:
            print(f"state not heard: {error}", flush=True)  # noqa: T201 - the runner's own log
            return None

    def _learn(self, method: str, status: int, sent: bytes, answer: bytes) -> None:
        """Remember the state as the deployer has it: nothing (404) is a state too."""
        match method, status:
            case "GET", HTTPStatus.OK:
                self._known = (HTTPStatus.OK, answer)
            case "GET", HTTPStatus.NOT_FOUND:
                self._known = (HTTPStatus.NOT_FOUND, b"")
            case "POST", HTTPStatus.OK:
                self._known = (HTTPStatus.OK, sent)
            case _:
                pass

    async def _answer_alone(self, request: web.Request, body: bytes) -> web.Response:
        """Take a state to be told later, and a lock's end, which the build's end is as well."""
        match request.method:
            case "POST":
                await asyncio.to_thread(self._parked.write_bytes, body)
                self._known = (HTTPStatus.OK, body)
                return web.Response()
            case "UNLOCK":
                return web.Response()
            case "GET" if self._known is not None:
                return web.Response(status=self._known[0], body=self._known[1])
            case _:
                return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
