"""The description of the API (OpenAPI 3.1), made from the routes themselves, and a page of it."""

import html
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.http.access import anyone
from services.gateway.http.door import COOKIE
from services.gateway.http.idempotency import KEY
from services.gateway.http.json_bytes import json_bytes
from services.gateway.http.openapi_links import add_links
from services.gateway.http.problems import CODES, MEDIA_TYPE
from services.gateway.http.route import GatewayRoute, resource
from services.gateway.http.shapes import Problem

router = resource("Process", described=False)

DESCRIPTION: Final = """\
Terraform modules by the credit. Credits are whole numbers, money is whole minor units with a
currency, percentages are decimal texts, times are RFC 3339 in UTC. Anything that goes wrong is a
problem (RFC 9457) with a stable `code`. Lists have `limit` and `cursor`. A POST with an
`Idempotency-Key` is carried out once in 24 hours, and answered alike each time.
"""
_HEADERS: Final = {
    "X-Request-Id": {"description": "Quote it when you ask for help.", "schema": {"type": "string"}}
}


@router.get("/api/openapi.json")
@anyone
async def openapi_json(request: Request) -> Response:
    """Describe the API."""
    return Response(description_of(request.app), media_type="application/json")


@router.get("/api/docs")
@anyone
async def docs(request: Request) -> Response:
    """Show the description to people, without scripts and without anybody else's assets."""
    app: FastAPI = request.app
    page = app.state.__dict__["_state"].get("docs_page")
    if page is None:
        page = app.state.docs_page = _page(description(app)).encode()
    policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    return Response(
        page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy}
    )


def description_of(app: FastAPI) -> bytes:
    """Return the description as JSON; it is made when it is first asked for."""
    known: bytes | None = app.state.__dict__["_state"].get("openapi_json")
    if known is None:
        known = app.state.openapi_json = json_bytes(description(app))
    return known


def description(app: FastAPI) -> dict[str, Any]:
    """Return the description: what the routes say, and what holds for all of them."""
    found = get_openapi(
        title="Tollgate",
        version=app.version,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=app.routes,
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    components["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "`tg_…`, or the issuer's JWT.",
        },
    }
    components["responses"] = {
        str(status): _problem_response(status) for status in sorted({s for s, _ in CODES.values()})
    }
    for route in app.routes:
        _describe(found, route)
    add_links(found)
    return found


def _problem_response(status: int) -> dict[str, Any]:
    codes = sorted(code for code, (each, _) in CODES.items() if each == status)
    return {
        "description": ", ".join(f"`{code}`" for code in codes),
        "headers": _HEADERS,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _describe(found: dict[str, Any], route: Any) -> None:
    """Add to a route's description who may make the call, and how it can go wrong."""
    if not isinstance(route, GatewayRoute) or not route.include_in_schema:
        return
    for method in route.methods or ():
        operation = found["paths"][route.path_format][method.lower()]
        operation["responses"].pop("422", None)
        for status in _statuses(route, method):
            answer = {"$ref": f"#/components/responses/{status}"}
            operation["responses"].setdefault(str(status), answer)
        if route.access.signed_in:
            operation["security"] = [{"session": []}, {"token": []}]
        if route.access.roles is not None:
            roles = ", ".join(sorted(route.access.roles))
            said = operation.get("description", "")
            operation["description"] = f"{said}\n\nFor: {roles}.".strip()
        if method == "POST" and route.access.honours_key:
            operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)


_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Your own id of this call: made again with it, it gets the same answer.",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
}


_MORE: Final[dict[str, set[int]]] = {
    "balance": {404},
    "project_costs": {404, 409},
    "oidc_login": {404},
    "oidc_callback": {404},
}
"""How else a call can go wrong, by its name."""


def _statuses(route: GatewayRoute, method: str) -> list[int]:
    """Return how a call can go wrong, beside what its own description says."""
    statuses = {400, 414, 422, 429, 500, 503} | _MORE.get(route.name, set())
    if route.access.signed_in:
        statuses |= {401, 403}
    if method in {"POST", "PATCH", "PUT", "DELETE"}:
        statuses |= {403, 409}
    if method in {"PATCH", "PUT"}:
        statuses.add(412)
    if route.body_field is not None:
        statuses |= {413, 415}
    if "{" in route.path_format or method == "POST":
        statuses.add(404)
    if method == "POST":
        statuses |= {401, 402}
    return sorted(statuses)


def _page(found: dict[str, Any]) -> str:
    """Return the description as one plain page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Tollgate API</title>",
        "<h1>Tollgate API</h1>",
        f"<p>{html.escape(found['info']['description'])}</p>",
        "<p><a href=/api/openapi.json>openapi.json</a></p>",
    ]
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            parts.append(_operation(path, method, operation))
    return "".join(parts) + "</html>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<li><code>{html.escape(each['name'])}</code> ({html.escape(each['in'])}) "
        f"{html.escape(each.get('description', ''))}"
        for each in operation.get("parameters", [])
    )
    answers = ", ".join(html.escape(status) for status in operation["responses"])
    said = html.escape(operation.get("description", ""))
    return (
        f"<details><summary><b>{method.upper()}</b> <code>{html.escape(path)}</code></summary>"
        f"<p>{said}</p><ul>{rows}</ul><p>Answers: {answers}</p></details>"
    )
