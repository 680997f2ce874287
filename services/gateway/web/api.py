"""The API, asked by a page in its visitor's name, without a network in between."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Scope

from services.gateway.http.parameters import ID_PATTERN

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""More than any list's page or log that a page asks for; a bound, so that none grows for ever."""

_ERROR: Final = 400
_NOT_FOUND: Final = 404
_ID: Final = re.compile(ID_PATTERN)
_HANDED_ON: Final = frozenset(
    {
        *(b"cookie", b"host", b"origin", b"referer", b"sec-fetch-site", b"user-agent"),
        *(b"x-forwarded-for", b"x-forwarded-proto", b"traceparent"),
    }
)


@dataclass(frozen=True)
class Answer:
    """What the API answered with."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's value; None where there is no body."""
        return json.loads(self.body) if self.body else None

    def header(self, name: str) -> str | None:
        """Return a header's first value."""
        return next((value for key, value in self.headers if key == name.lower()), None)


class ApiProblem(Exception):  # noqa: N818 - the API's own word (RFC 9457)
    """The API refused a call; `body` are its problem details."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {body.get('code')}")
        self.status = status
        self.body = body

    @property
    def code(self) -> str:
        """The problem's stable code."""
        return str(self.body.get("code", "INTERNAL_ERROR"))

    @property
    def detail(self) -> str:
        """What is wrong, in a sentence."""
        return str(self.body.get("detail") or self.body.get("title") or "")

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The fields that are wrong: `pointer`, `message`, `code`."""
        return list(self.body.get("errors") or [])


@dataclass
class Api:
    """Calls of one visit. Cookies that the API sets are collected, for the page to hand on."""

    app: ASGIApp
    scope: Scope
    set_cookies: list[str] = field(default_factory=list)

    async def get(self, path: str, **parameters: Any) -> Any:
        """Return what the API has there; parameters that are None or empty are left out.

        A trailing underscore is dropped from a parameter's name: `from_` is `from`.
        """
        return (await self.call("GET", path, parameters)).json

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Ask for something to be done, under an Idempotency-Key."""
        return (await self.call("POST", path, body=body, key=key)).json

    async def call(  # noqa: PLR0913 - what a call of HTTP's is made of
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        body: Any = None,
        key: str | None = None,
        if_match: str | None = None,
        accept: str = "application/json",
    ) -> Answer:
        """Make any call; raises `ApiProblem` for an answer that is one."""
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers: list[tuple[bytes, bytes]] = []
        if content:
            headers.append((b"content-type", b"application/json"))
            headers.append((b"content-length", str(len(content)).encode()))
        if key is not None:
            headers.append((b"idempotency-key", key.encode()))
        if if_match is not None:
            headers.append((b"if-match", if_match.encode()))
        scope = self.scope_of(method, path, parameters, accept=accept, headers=headers)
        answer = await _ask(self.app, scope, content)
        self.set_cookies += [value for name, value in answer.headers if name == "set-cookie"]
        if answer.status >= _ERROR:
            raise ApiProblem(answer.status, answer.json)
        return answer

    def at(self, template: str, *ids: str) -> str:
        """Return the path of what has these ids, each in the place of a `{}`.

        Raises the API's 404 for what is no id, and for a word that a path of the API has itself:
        `stats` is no deployment. No page puts into a path of the API what somebody sent otherwise.
        """
        path = template.format(*ids)
        written_out: frozenset[str] = self.scope["app"].state.written_out
        if ids and (path in written_out or not all(_ID.fullmatch(each) for each in ids)):
            raise ApiProblem(_NOT_FOUND, {"code": "NOT_FOUND", "title": "There is no such thing"})
        return path

    def scope_of(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        accept: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> Scope:
        """Return a call in the visitor's name, as the application takes it."""
        handed_on = [each for each in self.scope["headers"] if each[0] in _HANDED_ON]
        given = {
            name.rstrip("_"): _text(value)
            for name, value in (parameters or {}).items()
            if value is not None and value != ""
        }
        all_headers = [*handed_on, (b"accept", accept.encode()), *headers]
        return _inner(self.scope, method, path, given, all_headers)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _inner(
    scope: Scope,
    method: str,
    path: str,
    parameters: Mapping[str, str],
    headers: list[tuple[bytes, bytes]],
) -> Scope:
    same = ("type", "asgi", "http_version", "scheme", "client", "server", "extensions")
    return {
        **{name: scope[name] for name in same if name in scope},
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(parameters).encode(),
        "headers": headers,
        # The page's request id; the API's rate limit headers are about a call, not about a page.
        "state": {"request_id": scope["state"]["request_id"], "headers": {}},
    }


async def _ask(app: ASGIApp, scope: Scope, content: bytes) -> Answer:
    status = 500
    headers: tuple[tuple[str, str], ...] = ()
    body = bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in message.get("headers", ())
            )
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))
            if len(body) > ANSWER_BYTES_MAX:
                raise ValueError(f"{scope['path']} answers a page with over {ANSWER_BYTES_MAX} B")

    await app(scope, receive, send)
    return Answer(status, headers, bytes(body))
