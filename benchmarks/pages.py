"""What the main pages cost the server, and how many bytes they are, where there is much to show."""

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.gateway_calls import DEPLOYMENTS, PLENTIFUL, on_one_core, prepare
from benchmarks.modules import MODULES
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError, System, system
from benchmarks.table import Row, Status

TIMES: Final = 60
WARM_UP_TIMES: Final = 10
REACH_MS: Final = 100
"""Of the slowest page's median: what people take for at once (Nielsen, Response Times, 1993)."""
REFERENCE: Final = "/api/me"


@dataclass(frozen=True)
class Page:
    """Medians and maxima of one page."""

    median_ms: float
    slowest_ms: float
    sent_bytes: int
    whole_bytes: int


def measure(status: Status) -> Row:
    """Return server time and bytes of the main pages, one visitor after another, on one core.

    Beside them the shortest call of the API that is signed in. A page's scripts and styles are not
    counted: browsers have them after the first page.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("pages: starting the system"), system(place, environment=PLENTIFUL) as up:
            account = json.loads((place / "demo.json").read_text())["accounts"]["user"]
            with status("pages: a deployment, and many like it"):
                deployment_id = asyncio.run(prepare(up, account["token"]))
            on_one_core(up)
            with status("pages: visiting"):
                found = asyncio.run(_visit(up, account, deployment_id))
    reference = found.pop(REFERENCE)
    slowest = max(found.values(), key=lambda each: each.median_ms)
    return Row(
        name="pages",
        what=f"server time and bytes of a page, with {MODULES:,} modules and {DEPLOYMENTS:,} "
        "deployments",
        reach=f"≤ {REACH_MS} ms",
        measured=", ".join(_words(path, each) for path, each in found.items()),
        reference=f"{REFERENCE} {reference.median_ms:.1f} ms",
        reached=slowest.median_ms <= REACH_MS,
    )


def _words(path: str, each: Page) -> str:
    sizes = f"{each.sent_bytes / 1024:.0f} of {each.whole_bytes / 1024:.0f} KiB"
    return f"{path} {each.median_ms:.0f} ms (slowest {each.slowest_ms:.0f}), {sizes}"


async def _visit(up: System, account: dict[str, str], deployment_id: str) -> dict[str, Page]:
    """Return what each page took, by its path; of the deployment's and a module's by their kind."""
    url = up.endpoints["gateway"]
    jar = aiohttp.CookieJar(unsafe=True)  # the gateway is found by an IP address
    async with aiohttp.ClientSession(url, cookie_jar=jar, auto_decompress=False) as session:
        sign_in: dict[str, Any] = {"email": account["email"], "password": account["password"]}
        async with session.post("/api/session", json=sign_in) as answer:
            answer.raise_for_status()
        plain = {"Accept-Encoding": "identity"}
        path = f"/api/deployments/{deployment_id}"
        async with session.get(path, headers=plain) as answer:
            module_id = (await answer.json())["module_id"]
        paths = {
            "/deploy": "/deploy",
            "/deploy/{module}": f"/deploy/{module_id}",
            "/deployments": "/deployments",
            "/deployments/{id}": f"/deployments/{deployment_id}",
            "/credits": "/credits",
            "/projects": "/projects",
            REFERENCE: REFERENCE,
        }
        return {name: await _measured(session, path) for name, path in paths.items()}


async def _measured(session: aiohttp.ClientSession, path: str) -> Page:
    took: list[float] = []
    sent = b""
    for _ in range(WARM_UP_TIMES + TIMES):
        begun = time.perf_counter()
        sent = await _read(session, path, "gzip")
        took.append(1000 * (time.perf_counter() - begun))
    took = sorted(took[WARM_UP_TIMES:])
    whole = await _read(session, path, "identity")
    return Page(took[len(took) // 2], took[-1], len(sent), len(whole))


async def _read(session: aiohttp.ClientSession, path: str, encoding: str) -> bytes:
    headers = {"Accept": "text/html, application/json", "Accept-Encoding": encoding}
    async with session.get(path, headers=headers) as answer:
        if answer.status != 200:  # noqa: PLR2004 - good
            raise NotMeasuredError(f"{path} answers {answer.status}")
        return await answer.read()
