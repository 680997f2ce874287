"""A month that is over is closed by a call, on services that run as they do anywhere.

Nobody can wait for a month's end, so what happened in it is written before the services start, by
the services' own code with the one thing that it takes as an argument: the clock. From then on
ledger, revenue and gateway are the processes that `tollgate service` starts, on a real bus.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import OKPKey

from contracts.registry import decode
from devkit.ports import free_port
from devkit.program import Program, end, start
from runtime.clock import ManualClock, system_clock
from runtime.process import assemble
from services.ledger.main import build
from services.wiring import WIRING
from tests.integration.gateway.api import CATALOG_KEY, DEPLOYER_KEY, Api, Person, running_api
from tests.integration.gateway.api import PASSWORD as PERSONS_PASSWORD
from tests.integration.ledger.driver import Ledger, settings_for
from tests.support.environment import PASSWORD, Database, RunningNats

ROOT: Final = Path(__file__).parents[2]
PATIENCE_SECONDS: Final = 90.0
MONTH_END: Final = system_clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
TENTH: Final = (MONTH_END - timedelta(days=1)).replace(day=10)
PERIOD: Final = TENTH.strftime("%Y-%m")
MASTER_KEY: Final = "A" * 43


@dataclass
class Platform:
    """Three services as processes, and who calls them."""

    databases: dict[str, Database]
    settings: dict[str, dict[str, str]]
    finance: Person
    partner: Person

    async def command(self, service: str, *words: str) -> str:
        """Return what a command says that is given the service's settings; it must succeed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tollgate", *words),
            env=self.settings[service],
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output
        return output.decode()


async def write_the_past(stack: AsyncExitStack, databases: dict[str, Database]) -> list[Person]:
    """Have a partner's module deployed twice in the month before this one; return who was there."""
    clock = ManualClock(TENTH)
    async with running_api(databases["gateway"], clock=clock, master_key=MASTER_KEY) as api:
        admin, finance, partner, user = [
            await api.person(role) for role in ("admin", "finance", "partner", "user")
        ]
        shares = {"partner_revenue_share": "33.33", "agent_revenue_share": "10.00"}
        answer = await admin.asks("PATCH", "/api/settings", shares)
        assert answer.status_code == 200, answer.text
        told = await gateway_told(api)
    clock.advance(timedelta(days=1))
    settings = settings_for(databases["ledger"])
    async with assemble(build(settings), settings, WIRING, clock=clock) as running:
        ledger = Ledger(running)
        await ledger.hand_in([decode(row["type"], row["body"].encode()) for row in told])
        await ledger.purchase(user.id, 100, 9_999)
        for number, cost in enumerate((30, 7), 1):
            name = f"dep-{number}"
            clock.advance(timedelta(days=1))
            await ledger.hold(name, user.id, cost, partner_id=partner.id, premium=True)
            await ledger.succeed(name, user.id)
        assert await ledger.waiting() == []
    stack.push_async_callback(finance.client.aclose)
    return [finance, partner]


async def gateway_told(api: Api) -> list[Any]:
    """Return what the gateway told others, as it stands in its outbox."""
    rows: list[Any] = await api.running.pool.fetch(
        "select subject, body, body::json ->> 'type' as type from outbox order by position"
    )
    return [row for row in rows if not row["subject"].startswith("gateway.request")]


@pytest_asyncio.fixture
async def platform(
    bus: RunningNats,
    database_for: Callable[[str], Awaitable[Database]],
    tmp_path: Path,
) -> AsyncIterator[Platform]:
    databases = {name: await database_for(name) for name in ("gateway", "ledger", "revenue")}
    key = json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True))
    port = free_port()
    settings = {
        name: {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TOLLGATE_POSTGRES_DSN": database.dsn,
            "TOLLGATE_NATS_URL": bus.url,
            "TOLLGATE_NATS_USER": name,
            "TOLLGATE_NATS_PASSWORD": PASSWORD,
            "TOLLGATE_HTTP_PORT": str(port if name == "gateway" else free_port()),
            "TOLLGATE_MASTER_KEY": MASTER_KEY,
            "TOLLGATE_SIGNING_KEY": key,
            "TOLLGATE_SEGMENTS_URL": (tmp_path / f"segments-{name}").as_uri(),
            "TOLLGATE_SEAL_INTERVAL_SECONDS": "0",
            "TOLLGATE_ATTEST_DELAY_SECONDS": "0",
            "TOLLGATE_CATALOG_SEALING_PUBLIC_KEY": CATALOG_KEY[1],
            "TOLLGATE_DEPLOYER_SEALING_PUBLIC_KEY": DEPLOYER_KEY[1],
        }
        for name, database in databases.items()
    }
    async with AsyncExitStack() as stack:
        people = await write_the_past(stack, databases)
        stack.enter_context(running_services(settings, tmp_path))
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)
        )
        await until_ready(client)
        finance, partner = [await signed_in(stack, client, person) for person in people]
        yield Platform(databases, settings, finance, partner)


@contextmanager
def running_services(settings: dict[str, dict[str, str]], folder: Path) -> Iterator[None]:
    """Run services as `tollgate service …` does; they must stop by themselves."""
    children = []
    for name, environment in settings.items():
        command = (sys.executable, "-m", "tollgate", "service", name)
        log = folder / f"{name}.log"
        children.append(start(Program(name, command, environment, log, directory=ROOT)))
    try:
        yield
    finally:
        ended = [end(child) for child in children]
        assert all(ended)


async def until_ready(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)


async def signed_in(stack: AsyncExitStack, client: httpx2.AsyncClient, before: Person) -> Person:
    """Return somebody who was there in the past, signed in today."""
    own = await stack.enter_async_context(httpx2.AsyncClient(base_url=client.base_url, timeout=20))
    person = Person(own, before.id, before.email)
    session = {"email": before.email, "password": PERSONS_PASSWORD}
    answer = await person.asks("POST", "/api/session", session)
    assert answer.status_code == 204, answer.text
    return person


async def attested(finance: Person) -> dict[str, Any]:
    """Return the month as it is listed once the ledger has attested it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for month in (await finance.gets("/api/revenue/periods"))["items"]:
                if month["period"] == PERIOD:
                    return dict(month)
            await asyncio.sleep(0.1)


async def forge(database: Database, statement: str) -> None:
    """Change what is stored as only whoever has the database in hand can."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def close(finance: Person) -> dict[str, Any]:
    """Ask for the month to be closed; return it, or the problem, once that is known."""
    answer = await finance.asks("POST", f"/api/revenue/periods/{PERIOD}/close")
    if answer.status_code != 202:
        return dict(answer.json())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            request = await finance.gets(answer.headers["location"])
            if request["status"] != "PENDING":
                return dict(request["result"] or request["problem"])
            await asyncio.sleep(0.1)


async def refused_for(finance: Person) -> list[str]:
    """Return why the month is not closed; what is on its way is waited for."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            problem = await close(finance)
            assert problem["code"] == "PERIOD_NOT_CLOSABLE", problem
            codes = [each["code"] for each in problem["errors"]]
            if not {"NOT_ATTESTED", "FACTS_DIFFER"} & set(codes):
                return codes


@pytest.mark.timeout(300)
async def test_a_month_that_is_over_is_closed_by_a_call_and_its_statement_can_be_checked(
    platform: Platform, tmp_path: Path
) -> None:
    finance, partner, revenue = platform.finance, platform.partner, platform.databases["revenue"]
    month = await attested(finance)
    assert (month["recognized"]["amount_minor"], month["closed_at"]) == (3_699, None)

    path = f"/api/revenue/periods/{PERIOD}/close"
    await partner.is_refused("POST", path, status=403, code="FORBIDDEN")
    await until_applied(revenue)
    await forge(revenue, "update payee_totals set total_minor = total_minor + 1")
    assert await refused_for(finance) == ["LINES_DIFFER"]
    await forge(revenue, "update payee_totals set total_minor = total_minor - 1")
    closed = await close(finance)
    assert (closed["statements"], closed["payable"]["amount_minor"]) == (1, 1_232)
    assert closed["closed_by"] == finance.id
    assert await refused_for(finance) == ["ALREADY_CLOSED"]

    [statement] = (await partner.gets("/api/revenue/statements"))["items"]
    shown = await partner.gets(f"/api/revenue/statements/{statement['id']}")
    assert [line["share"]["amount_minor"] for line in shown["lines"]] == [999, 233]
    assert shown["payable"]["amount_minor"] == 1_232

    bundle = tmp_path / "bundle"
    await platform.command("revenue", "statement", "export", statement["id"], "--to", str(bundle))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(ROOT / "examples/audit/check_statement.py"), str(bundle)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    await platform.command("revenue", "revenue", "seal")
    verified = json.loads(await platform.command("revenue", "revenue", "verify", "--json"))
    assert (verified["ok"], verified["statements"]) == (True, 1)
    assert verified["sealed"] == verified["facts"]


async def until_applied(revenue: Database) -> None:
    """Wait until revenue knows both settlements, and that the month was attested."""
    connection = await asyncpg.connect(revenue.admin_dsn)
    query = "select (select count(*) from revenue_lines) + (select count(*) from months)"
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await connection.fetchval(query) < 3:
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
