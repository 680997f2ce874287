"""The application: every call and every page there is, behind one frame."""

import json
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from services.gateway.gateway import Gateway
from services.gateway.http import (
    audit,
    checkout,
    credit_changes,
    credits,  # noqa: A004 - the resource's name
    deployment_changes,
    deployments,
    events,
    explanations,
    github_hook,
    health,
    ledger,
    logs,
    marks,
    me,
    modules,
    oidc,
    openapi,
    projects,
    quotes,
    refunds,
    requests,
    revenue,
    session,
    settings,
    statements,
    stripe_hook,
    syncs,
    tokens,
    users,
    webhook_deliveries,
    webhooks,
)
from services.gateway.http.cors import Cors
from services.gateway.http.cursors import Cursors
from services.gateway.http.door import Door
from services.gateway.http.frame import BODY_BYTES_MAX, Frame
from services.gateway.http.problems import problem_response, response_for
from services.gateway.http.route import written_out
from services.gateway.http.session import is_secure
from services.gateway.passwords import BusyError
from services.gateway.settings import origins_of
from services.gateway.web.pages import error_page, wants_page
from services.gateway.web.routes import page_routes

VERSION: Final = "1"
_NO_METHOD: Final = 405
COMPRESSED_FROM_BYTES: Final = 1_024
COMPRESSION_LEVEL: Final = 5

RESOURCES: Final = (
    session, oidc, users, me, tokens, settings, modules, marks, syncs, github_hook,
    credits, credit_changes, checkout, stripe_hook, quotes, deployments, deployment_changes,
    refunds, logs, requests, events, revenue, statements, explanations,
    webhooks, webhook_deliveries, ledger, audit, projects, openapi, health,
)  # fmt: skip


def build_app(gateway: Gateway) -> ASGIApp:
    """Return the application over a gateway's parts."""
    app = FastAPI(
        title="Tollgate",
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=BODY_BYTES_MAX,
    )
    app.state.gateway = gateway
    app.state.door = Door(gateway)
    app.state.cursors = Cursors(gateway.vault.derived("cursors"))
    for resource in RESOURCES:
        app.router.routes.extend(resource.router.routes)
    app.router.routes.extend(page_routes())
    app.state.written_out = written_out(app.routes)
    expected: tuple[type[Exception], ...] = (
        HTTPException,
        RequestValidationError,
        Refusal,
        BusyError,
        UnavailableError,
        TimeoutError,
        *OUTAGES,
    )
    for kind in expected:
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(Exception, _broken)
    return Frame(
        GZipMiddleware(app, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=COMPRESSION_LEVEL),
        secure=is_secure(gateway),
        cors=Cors(origins_of(gateway.settings.cors_origins)),
        spans=gateway.running.spans,
    )


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == _NO_METHOD:
        error.headers = {"Allow": ", ".join(_methods(request))}
    response = response_for(error, request)
    if response is None:
        raise error
    if wants_page(request):
        return await _as_page(request, response)
    return response


async def _as_page(request: Request, problem: Response) -> Response:
    told = json.loads(bytes(problem.body))
    page = await error_page(request, told["code"], problem.status_code, told["detail"])
    for name in ("allow", "retry-after"):
        if name in problem.headers:
            page.headers[name] = problem.headers[name]
    return page


async def _broken(request: Request, _: Exception) -> Response:
    """Say that something is broken, and nothing of what; the frame logs it."""
    request_id = request.scope.get("state", {}).get("request_id", "")
    response = problem_response("INTERNAL_ERROR", request_id=request_id)
    return await _as_page(request, response) if wants_page(request) else response


def _methods(request: Request) -> list[str]:
    """Return the methods that a path has, over all of its routes."""
    found: set[str] = set()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope: dict[str, Any] = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            found.add(method)
    if "GET" in found:
        found.add("HEAD")
    return sorted(found)
