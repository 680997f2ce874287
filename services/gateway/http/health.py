"""Whether the process lives, is ready, and what it counts."""

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.http.access import anyone
from services.gateway.http.door import is_in
from services.gateway.http.json_bytes import json_bytes
from services.gateway.http.parameters import TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.settings import networks_of

router = resource("Process", described=False)

_FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-real-ip", "via"})


@router.get("/healthz")
@anyone
async def healthz(gateway: TheGateway) -> Response:
    """Say whether all loops turn; touches nothing outside of the process."""
    stuck = gateway.running.liveness.stuck()
    return _json({"stuck": stuck}, 503 if stuck else 200)


@router.get("/readyz")
@anyone
async def readyz(gateway: TheGateway) -> Response:
    """Say whether everything that is needed is there."""
    problems = await gateway.running.readiness.problems()
    if gateway.running.stopping.is_set():
        problems["process"] = "stopping"
    return _json({"problems": problems}, 503 if problems else 200)


@router.get("/metrics")
@anyone
async def metrics(request: Request, gateway: TheGateway) -> Response:
    """Give what the process counts, to those who are near: for others it is not there.

    A call that came through a proxy is from outside, wherever the proxy stands.
    """
    networks = networks_of(gateway.settings.metrics_networks)
    forwarded = any(name in request.headers for name in _FORWARDED)
    peer = "" if request.client is None else request.client.host
    if forwarded or not is_in(peer, networks):
        raise ProblemError("NOT_FOUND")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _json(body: Any, status: int) -> Response:
    return Response(json_bytes(body), status_code=status, media_type="application/json")
