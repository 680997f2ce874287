"""A route of the API: through the door, read strictly, answered once for each Idempotency-Key."""

from collections.abc import Callable, Coroutine, Sequence
from hashlib import sha256
from typing import Any, Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope
from typing_extensions import override

from runtime.ids import new_id
from services.gateway.gateway import Gateway
from services.gateway.http import idempotency
from services.gateway.http.access import access_of
from services.gateway.http.door import Door
from services.gateway.http.json_bytes import BadJsonError, read_json
from services.gateway.http.problems import ProblemError, response_for

_MISSING: Final = object()
_OK: Final = 200
_NOT_MODIFIED: Final = 304

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose JSON is read strictly, and once."""

    _strict: Any = _MISSING

    @override
    async def json(self) -> Any:
        """Return the body's value; a 422 where it is not JSON as everybody reads it."""
        if self._strict is _MISSING:
            try:
                self._strict = read_json(await self.body())
            except BadJsonError as error:
                raise ProblemError("INVALID_JSON", f"the body {error}") from error
        return self._strict


class GatewayRoute(APIRoute):
    """A route whose endpoint says who may call it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.access = access_of(endpoint)
        super().__init__(path, endpoint, **options)
        self._begins, parameter, _ = path.partition("{")
        self._is_template = bool(parameter)

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the call is this route's.

        A path that is written out is no value of another's template (as OpenAPI has it), whatever
        the method: `DELETE /api/deployments/stats` is no deletion of a deployment `stats`.
        """
        path = scope["path"]
        # Most routes are none of the call's: that much is told without a pattern.
        if not path.startswith(self._begins):
            return Match.NONE, {}
        if self._is_template and path in scope["app"].state.written_out:
            return Match.NONE, {}
        return super().matches(scope)

    @override
    def get_route_handler(self) -> Handler:
        """Return what handles a call from the door to its answer."""
        inner = super().get_route_handler()
        known = _query_parameters(self.dependant)

        async def handle(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            gateway: Gateway = request.app.state.gateway
            door: Door = request.app.state.door
            principal = await door.admit(strict, self.access)
            strict.state.principal = principal
            strict.state.operation_id = new_id()
            if not self.access.open_query:
                _check_parameters(strict, known)
            if self.body_field is not None:
                await _check_content_type(strict)
            if strict.method != "POST" or not self.access.honours_key:
                response = await inner(strict)
                return _conditional(strict, response)
            claimed = await idempotency.claim(gateway, strict, principal, await strict.body())
            if isinstance(claimed, Response):
                return claimed
            if claimed is None:
                return await inner(strict)
            strict.state.operation_id = claimed.operation_id
            return await _once(gateway, claimed, strict, inner)

        return handle


async def _once(
    gateway: Gateway, claimed: idempotency.Claim, request: Request, inner: Handler
) -> Response:
    """Carry the call out and keep its answer, whatever it is; a bug frees the key."""
    try:
        response = await inner(request)
    except Exception as error:
        answer = response_for(error, request)
        if answer is None:
            await idempotency.free(gateway, claimed)
            raise
        response = answer
    await idempotency.keep(gateway, claimed, response)
    return response


def _query_parameters(dependant: Dependant) -> frozenset[str]:
    """Return the names of all query parameters that an endpoint or what it depends on has."""
    own = frozenset(field.alias for field in dependant.query_params)
    return own.union(*(_query_parameters(each) for each in dependant.dependencies))


def _check_parameters(request: Request, known: frozenset[str]) -> None:
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        errors = [
            {
                "pointer": f"/{name}"[:200],
                "message": "is not a parameter of this call",
                "code": "UNKNOWN_PARAMETER",
                "in": "query",
            }
            for name in sorted(unknown)[:20]
        ]
        raise ProblemError("INVALID_INPUT", "a parameter is not one of this call's", errors=errors)


async def _check_content_type(request: Request) -> None:
    if not await request.body():
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ProblemError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json")


def etag_of(body: bytes) -> str:
    """Return the entity tag of a representation."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def _conditional(request: Request, response: Response) -> Response:
    """Give a single resource its tag, and answer 304 where the client has it already."""
    if (
        request.method != "GET"
        or response.status_code != _OK
        or response.headers.get("content-type") != "application/json"
    ):
        return response
    tag = etag_of(bytes(response.body))
    response.headers["ETag"] = tag
    if not matches(request.headers.get("if-none-match"), tag):
        return response
    return Response(status_code=_NOT_MODIFIED, headers={"ETag": tag})


def check_if_match(request: Request, shown: BaseModel) -> bool:
    """Return whether the caller says what it saw; a 412 where that is not what there is now."""
    header = request.headers.get("if-match")
    if header is not None and not matches(header, etag_of(shown.model_dump_json().encode())):
        raise ProblemError("PRECONDITION_FAILED")
    return header is not None


def matches(header: str | None, tag: str) -> bool:
    """Return whether a list of entity tags names this one; weak ones are the same here."""
    if header is None:
        return False
    tags = {each.strip().removeprefix("W/") for each in header.split(",")}
    return "*" in tags or tag in tags


def resource(tag: str, *, described: bool = True) -> APIRouter:
    """Return a router for the calls of a resource; calls are called as their endpoints are."""
    return APIRouter(
        route_class=GatewayRoute,
        tags=[tag],
        include_in_schema=described,
        generate_unique_id_function=_name,
    )


def _name(route: APIRoute) -> str:
    return route.name


def written_out(routes: Sequence[BaseRoute]) -> frozenset[str]:
    """Return the paths of the API's routes that have no parameters."""
    return frozenset(
        route.path
        for route in routes
        if isinstance(route, GatewayRoute) and not route.param_convertors
    )
