"""What holds for every answer, whoever gives it: a request id, safe headers, and no bare 500."""

from contextlib import AbstractContextManager
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.clock import monotonic_seconds
from runtime.ids import new_id
from runtime.spans import Answering, PassOn, Spans, well_formed, within
from services.gateway.http.cors import Cors
from services.gateway.http.problems import problem_response
from services.gateway.metrics import HTTP_REQUESTS, HTTP_SECONDS

URI_LENGTH_MAX: Final = 8_000
BODY_BYTES_MAX: Final = 1024 * 1024
_NO_CONTENT: Final = 204
GONE: Final = "none"
"""Instead of a status: nobody was there any more to be answered."""
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_UNRECORDED: Final = PassOn()
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, no-cache",
}
_VARY: Final = "Cookie, Authorization, Accept, Origin"


class Frame:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, secure: bool, cors: Cors, spans: Spans) -> None:
        self._app = app
        self._cors = cors
        self._spans = spans
        self._headers = dict(_HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        if scope["type"] != "http":
            raise TypeError(f"{scope['type']} is not served here, only HTTP is")
        request_id = new_id()
        extra: dict[str, str] = {}
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["headers"] = extra
        is_head = scope["method"] == "HEAD"
        if is_head:
            scope["method"] = "GET"
        always = {**self._headers, **self._cors.allows(scope), "X-Request-Id": request_id}
        call = _Call(send, always, extra, is_head=is_head)
        begun = monotonic_seconds()
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            self._span(scope, request_id) as span,
            within(span.traceparent),
        ):
            try:
                await self._answer(scope, receive, call)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told and logged
                structlog.get_logger().error("http.failed", path=scope["path"], exc_info=error)
                if call.status is None:
                    response = problem_response("INTERNAL_ERROR", request_id=request_id)
                    await response(scope, receive, call.send)
            finally:
                method, route, ended = _method(scope), _route(scope), monotonic_seconds()
                span.answered(route=route, status=call.status)
                status = GONE if call.status is None else str(call.status)
                HTTP_REQUESTS.labels(method=method, route=route, status=status).inc()
                answered = ended if call.begun_at is None else call.begun_at
                HTTP_SECONDS.labels(method=method, route=route).observe(answered - begun)
                took_ms = round((ended - begun) * 1000, 1)
                structlog.get_logger().debug(
                    "http.answered",
                    method=scope["method"],
                    path=scope["path"],
                    status=call.status,
                    took_ms=took_ms,
                )

    def _span(self, scope: Scope, request_id: str) -> AbstractContextManager[Answering]:
        """Return the span of a call; those who only look whether we live leave none."""
        spans = _UNRECORDED if scope["path"] in _PROBES else self._spans
        return spans.answering(_method(scope), _traceparent(scope), request_id)

    async def _answer(self, scope: Scope, receive: Receive, call: "_Call") -> None:
        code = _too_long(scope)
        if code is not None:
            response = problem_response(code, request_id=scope["state"]["request_id"])
            await response(scope, receive, call.send)
            return
        preflight = self._cors.preflight(scope)
        if preflight is not None:
            await Response(status_code=_NO_CONTENT, headers=dict(preflight))(
                scope, receive, call.send
            )
            return
        await self._app(scope, receive, call.send)


class _Call:
    """One answer on its way out."""

    def __init__(
        self, send: Send, headers: dict[str, str], extra: dict[str, str], *, is_head: bool
    ) -> None:
        self._send = send
        self._headers = headers
        self._extra = extra
        self._is_head = is_head
        self.status: int | None = None
        self.begun_at: float | None = None

    async def send(self, message: Message) -> None:
        """Send a part of the answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun_at = monotonic_seconds()
            headers = MutableHeaders(scope=_with_headers(message))
            for name, value in (*self._headers.items(), *self._extra.items()):
                headers.setdefault(name, value)
            headers.add_vary_header(_VARY)
            if "content-encoding" in headers and headers.get("etag", "").startswith('"'):
                # Other bytes than those that the tag was made of: the same only in meaning.
                headers["ETag"] = f"W/{headers['etag']}"
        elif self._is_head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


def _with_headers(message: Message) -> dict[str, Any]:
    message["headers"] = list(message.get("headers", []))
    return message  # type: ignore[return-value]  # a mutable mapping with its headers as a list


def _too_long(scope: Scope) -> str | None:
    """Return the code of what is too long by its own account, if anything is.

    A body that does not say how long it is, is counted as it is read.
    """
    if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > URI_LENGTH_MAX:
        return "URI_TOO_LONG"
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > BODY_BYTES_MAX:
            return "BODY_TOO_LARGE"
    return None


def _traceparent(scope: Scope) -> str | None:
    """Return the caller's trace (W3C Trace Context), where the header can be read."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return well_formed(value.decode("latin-1"))
    return None


def _method(scope: Scope) -> str:
    """Return the method, or one name for all those that nobody has heard of."""
    method: str = scope["method"]
    return method if method in _METHODS else "_OTHER"


def _route(scope: Scope) -> str:
    """Return the template of the route that was taken: `/api/deployments/{deployment_id}`.

    Never the path itself, which anybody may make as many of as they like.
    """
    return str(getattr(scope.get("route"), "path", "none"))
