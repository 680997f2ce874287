"""A visit: somebody looks at a page or sends its form."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from runtime.ids import new_id
from services.gateway.events import Settings
from services.gateway.gateway import Gateway
from services.gateway.http.session import is_secure
from services.gateway.queries.settings import current_settings
from services.gateway.web.api import Api, ApiProblem
from services.gateway.web.rendering import rendered

NOTICE_COOKIE: Final = "tollgate_notice"
NOTICE_LENGTH_MAX: Final = 500
NOTICE_LASTS: Final = timedelta(minutes=1)
FIELDS_MAX: Final = 2_000
FORM: Final = "application/x-www-form-urlencoded"
SEE_OTHER: Final = 303
_SERVER_ERROR: Final = 500

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    # With no referrer at all, browsers send forms with `Origin: null`, which is nobody's.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


class BadFormError(Exception):
    """What was sent is no form of ours."""


@dataclass
class Form:
    """A form as it was sent, or as it is first shown; and what is wrong with it.

    `values` holds every field's text. `name` tells it from other forms of its page. `key` is the
    Idempotency-Key of the one thing that it asks for: sent twice, it happens once.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    problem: ApiProblem | None = None
    key: str = field(default_factory=new_id)
    name: str = "f"

    @property
    def next_key(self) -> str:
        """The key to send the form with: a new one after a refusal, whose answer is kept.

        Where it is not known whether anything happened, the key stays.
        """
        if self.problem is None or self.problem.code == "IDEMPOTENCY_IN_PROGRESS":
            return self.key
        return new_id() if self.problem.status < _SERVER_ERROR else self.key

    def value(self, name: str, default: Any = "") -> str:
        """Return a field's text: what was sent, else what it begins with."""
        found = self.values.get(name)
        return found if found is not None else ("" if default is None else str(default))

    def given(self, name: str) -> str | None:
        """Return a field's text without blanks around it; None where it was left empty."""
        return self.values.get(name, "").strip() or None

    def number(self, name: str) -> int | str | None:
        """Return a field as a whole number; its text where it is none, which the API refuses."""
        text = self.given(name)
        if text is None:
            return None
        plain = text.replace(",", "").replace("\u202f", "").replace(" ", "")
        digits = plain[1:] if plain[:1] in {"-", "+"} else plain
        return int(plain) if digits.isascii() and digits.isdigit() and len(digits) < 20 else text  # noqa: PLR2004 - more than 64 bits have

    def error(self, name: str) -> str | None:
        """Return what is wrong with a field: `email`, or a pointer as `/repository/url`."""
        if self.problem is None:
            return None
        pointer = name if name.startswith("/") else f"/{name}"
        for each in self.problem.errors:
            if each.get("pointer") == pointer:
                return str(each.get("message"))
        return None


def named_forms(names: Iterable[str], sent: Mapping[str, Form] | None = None) -> dict[str, Form]:
    """Return the forms of a page that has several: as they were sent, or as they begin."""
    forms = {name: Form() for name in names} | dict(sent or {})
    for name, form in forms.items():
        form.name = name
    return forms


@dataclass
class Visit:
    """One call for a page: who visits, what they may know, and how to answer them."""

    request: Request
    api: Api
    me: dict[str, Any] | None
    balance: dict[str, Any] | None
    platform: Settings
    notice: str | None
    position: int = 0

    @property
    def path(self) -> str:
        """The page's path."""
        return self.request.url.path

    @property
    def here(self) -> str:
        """The page's address, with its query."""
        query = self.request.url.query
        return f"{self.path}?{query}" if query else self.path

    @property
    def origin(self) -> str:
        """Where the platform is for everybody: as it is set, else as the visitor came to it."""
        gateway: Gateway = self.request.app.state.gateway
        return gateway.settings.public_url or str(self.request.base_url).rstrip("/")

    @property
    def is_part(self) -> bool:
        """Whether htmx asks, which takes a part of the page and leaves its frame where it is."""
        headers = self.request.headers
        return "hx-request" in headers and "hx-history-restore-request" not in headers

    @property
    def query(self) -> Mapping[str, str]:
        """The query's parameters, the last of each name."""
        return self.request.query_params

    @property
    def user_id(self) -> str:
        """Who visits; for pages that only those who signed in see."""
        if self.me is None:
            raise TypeError("nobody is signed in")
        return str(self.me["id"])

    def has(self, *roles: str) -> bool:
        """Return whether the visitor has one of these roles."""
        return self.me is not None and not set(roles).isdisjoint(self.me["roles"])

    async def form(self) -> Form:
        """Return the form that was sent; raises `BadFormError` where it is none."""
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != FORM:
            raise BadFormError("the body is no form")
        try:
            pairs = parse_qsl(
                (await self.request.body()).decode(),
                keep_blank_values=True,
                max_num_fields=FIELDS_MAX,
                errors="strict",
            )
        except ValueError as error:
            raise BadFormError(str(error)) from error
        lists: dict[str, list[str]] = {}
        for name, text in pairs:
            lists.setdefault(name, []).append(text.replace("\r\n", "\n"))
        values = {name: texts[-1] for name, texts in lists.items()}
        return Form(values, lists, key=values.get("key") or new_id())

    def show(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Answer with a page."""
        text = rendered(template, visit=self, **values)
        response = HTMLResponse(text, status_code=status, headers=HEADERS)
        response.headers["Vary"] = "HX-Request"
        if self.notice is not None and not self.is_part:
            response.delete_cookie(NOTICE_COOKIE, path="/")
        return self._with_cookies(response)

    def go(self, where: str, notice: str | None = None) -> Response:
        """Send the browser to another page of ours, which says `notice` once."""
        response = RedirectResponse(where, status_code=SEE_OTHER, headers=HEADERS)
        if notice is not None:
            gateway: Gateway = self.request.app.state.gateway
            response.set_cookie(
                NOTICE_COOKIE,
                quote(notice[:NOTICE_LENGTH_MAX]),
                max_age=int(NOTICE_LASTS.total_seconds()),
                path="/",
                httponly=True,
                samesite="lax",
                secure=is_secure(gateway),
            )
        return self._with_cookies(response)

    def _with_cookies(self, response: Response) -> Response:
        for cookie in self.api.set_cookies:
            response.headers.append("set-cookie", cookie)
        return response


async def visit_of(request: Request) -> Visit:
    """Return the visit that a call is; raises `ApiProblem`, or an outage of the database."""
    api = Api(request.app, request.scope)
    gateway: Gateway = request.app.state.gateway
    # Read before all else: whatever happens later, the page hears of it live.
    position = await gateway.feed.last_position()
    me, balance, platform = await asyncio.gather(_me(api), _balance(api), _platform(gateway))
    text = request.cookies.get(NOTICE_COOKIE)
    notice = unquote(text)[:NOTICE_LENGTH_MAX] if text else None
    return Visit(request, api, me, balance, platform, notice, position)


def blind_visit(request: Request) -> Visit:
    """Return the visit of somebody who cannot be known for the moment."""
    return Visit(request, Api(request.app, request.scope), None, None, Settings(), None)


def local(address: str | None, default: str = "/") -> str:
    """Return an address if it is a path of ours; what leads elsewhere is not followed."""
    if not address or not address.startswith("/") or address.startswith(("//", "/\\")):
        return default
    parts = urlsplit(address)
    clean = address.isprintable() and not parts.scheme and not parts.netloc and " " not in address
    return address if clean else default


async def _me(api: Api) -> dict[str, Any] | None:
    return await _unless_unknown(api, "/api/me")


async def _balance(api: Api) -> dict[str, Any] | None:
    return await _unless_unknown(api, "/api/credits/balance")


async def _unless_unknown(api: Api, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await api.get(path)
    except ApiProblem as problem:
        if problem.code == "UNAUTHENTICATED":
            return None
        raise
    return found


async def _platform(gateway: Gateway) -> Settings:
    async with gateway.connection() as connection:
        return (await current_settings(connection)).settings
