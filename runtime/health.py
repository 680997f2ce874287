"""Whether a process lives, and whether it is ready for work.

Liveness touches nothing outside, but notices a loop that has stopped turning. Readiness asks what
the service needs, each with a bound, and names what is missing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from runtime.clock import monotonic_seconds

CHECK_SECONDS: Final = 2.0
BEAT_AGE_SECONDS_MAX: Final = 60.0

Check = Callable[[], Awaitable[str | None]]


class Liveness:
    """Loops beat; one that has been silent for too long is stuck."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}

    def beat(self, loop: str) -> Callable[[], None]:
        """Return what the loop of that name calls each time it turns."""

        def beaten() -> None:
            self._beats[loop] = monotonic_seconds()

        beaten()
        return beaten

    def stuck(self, *, at: float | None = None) -> list[str]:
        """Return the loops that have not turned for a minute, now or at `monotonic_seconds`."""
        now = monotonic_seconds() if at is None else at
        return [name for name, last in self._beats.items() if now - last > BEAT_AGE_SECONDS_MAX]


class Readiness:
    """Named checks; each returns what is wrong, or nothing."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add_check(self, name: str, check: Check) -> None:
        """Ask this too before saying ready."""
        self._checks[name] = check

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of all checks."""
        return tuple(self._checks)

    async def problems(self) -> dict[str, str]:
        """Return what is wrong, by check; empty where the process is ready."""
        found: dict[str, str] = {}
        for name, check in tuple(self._checks.items()):
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    problem = await check()
            except TimeoutError:
                problem = f"no answer within {CHECK_SECONDS} s"
            except Exception as error:  # noqa: BLE001 - a check that fails is a problem named
                problem = repr(error)
            if problem is not None:
                found[name] = problem
        return found


def health_app(liveness: Liveness, readiness: Readiness) -> web.Application:
    """Return `/healthz`, `/readyz` and `/metrics`."""

    async def healthz(_: web.Request) -> web.Response:
        stuck = liveness.stuck()
        return web.json_response({"stuck": stuck}, status=503 if stuck else 200)

    async def readyz(_: web.Request) -> web.Response:
        problems = await readiness.problems()
        return web.json_response({"problems": problems}, status=503 if problems else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return app
