"""Every page there is, and how one is answered: who may open it, and what goes wrong, as a page."""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runtime.processor import OUTAGES, UnavailableError
from services.gateway.web.api import ApiProblem
from services.gateway.web.visit import BadFormError, Visit, blind_visit, visit_of

View = Callable[[Visit], Awaitable[Response]]
_METHOD: Final = {"GET": ["GET"], "POST": ["POST"]}
_UNPROCESSABLE: Final = 422
_FORBIDDEN: Final = 403


class Pages:
    """The pages of one part; `get` and `post` are decorators that say who may open a page.

    `roles`: any of them opens it; none: everybody who is signed in. `anyone`: nobody need be.
    """

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def get(self, path: str, *roles: str, anyone: bool = False) -> Callable[[View], View]:
        """Answer GET of a path with a view."""
        return self._add("GET", path, roles, anyone=anyone)

    def post(self, path: str, *roles: str, anyone: bool = False) -> Callable[[View], View]:
        """Answer a form that is sent to a path with a view."""
        return self._add("POST", path, roles, anyone=anyone)

    def _add(
        self, method: str, path: str, roles: tuple[str, ...], *, anyone: bool
    ) -> Callable[[View], View]:
        def add(view: View) -> View:
            async def answer(request: Request) -> Response:
                return await _answer(request, view, roles, anyone=anyone)

            name = f"{method} {path}"
            self.routes.append(Route(path, answer, methods=_METHOD[method], name=name))
            return view

        return add


async def _answer(
    request: Request, view: View, roles: tuple[str, ...], *, anyone: bool
) -> Response:
    try:
        visit = await visit_of(request)
    except ApiProblem as problem:
        return refused(blind_visit(request), problem.code, problem.status, detail=problem.detail)
    if visit.me is None and not anyone:
        back = quote(visit.here if request.method == "GET" else "/", safe="")
        return visit.go(f"/signin?next={back}")
    if roles and not visit.has(*roles):
        return refused(visit, "FORBIDDEN", _FORBIDDEN, roles=roles)
    if request.method == "POST":
        request.app.state.door.check_site(request)
    try:
        return await view(visit)
    except ApiProblem as problem:
        if problem.code == "UNAUTHENTICATED":
            return visit.go("/signin?next=/")
        return refused(visit, problem.code, problem.status, detail=problem.detail)
    except BadFormError as error:
        return refused(visit, "INVALID_INPUT", _UNPROCESSABLE, detail=str(error))


def refused(
    visit: Visit, code: str, status: int, *, detail: str = "", roles: tuple[str, ...] = ()
) -> Response:
    """Return the page that says what is wrong, and what to do next."""
    return visit.show("error.html", status=status, code=code, detail=detail, roles=roles)


async def error_page(request: Request, code: str, status: int, detail: str) -> Response:
    """Return the page in the place of a problem, where a browser asked for a page."""
    try:
        visit = await visit_of(request)
    except (ApiProblem, UnavailableError, TimeoutError, *OUTAGES):
        visit = blind_visit(request)
    return refused(visit, code, status, detail=detail)


def wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page, which no path of the API is."""
    path = request.url.path
    accepts = "text/html" in request.headers.get("accept", "")
    return accepts and not path.startswith(("/api/", "/auth/", "/static/", "/health", "/metrics"))
