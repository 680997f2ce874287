"""Lists as files: what the API streams goes on to the browser as it comes, never held whole."""

import json
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from services.gateway.web.pages import refused
from services.gateway.web.visit import Visit

CSV: Final = "text/csv"
_ERROR: Final = 400


class Download(Response):
    """What the API answers a visitor's call with, piece by piece; a refusal is a page."""

    def __init__(self, visit: Visit, path: str, **parameters: Any) -> None:
        super().__init__()
        self._visit = visit
        self._call = visit.api.scope_of("GET", path, parameters, accept=CSV)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the answer on. Where it breaks off, so does ours: nobody takes it for whole."""
        status = 0
        problem = bytearray()

        async def hand_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            if status < _ERROR:
                await send(message)
            elif message["type"] == "http.response.body":
                # Problem details are short: the gateway itself writes them.
                problem.extend(message.get("body", b""))

        await self._visit.api.app(self._call, receive, hand_on)
        if status >= _ERROR:
            told = json.loads(problem)
            page = refused(self._visit, told["code"], status, detail=told["detail"])
            await page(scope, receive, send)
