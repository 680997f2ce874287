"""How many decisions a second one ledger process makes, from the bus to the bus, durably."""

import asyncio
import re
import subprocess
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.eventsourcing_wallets import decisions_at_best, decisions_by_default
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError
from benchmarks.servers import Servers, Telling, publish, servers
from benchmarks.table import Row, Status
from contracts.deployer import v1 as deployer
from contracts.gateway import v1 as gateway
from contracts.subjects import facts_stream
from contracts.types import Credits
from devkit.environment import Environment
from devkit.postgres import binary
from runtime.bus import Bus
from runtime.clock import system_clock
from runtime.ids import new_id

WALLETS: Final = 512
HOLDS: Final = 20_000
PRICE: Final = 3
CLIENTS: Final = 8
REFERENCE_SECONDS: Final = 10
TPC_B_REACH: Final = 3.0
INSERT_REACH: Final = 1.0
BEST_REACH: Final = 5.0
DEFAULT_REACH: Final = 20.0
_PATIENCE: Final = timedelta(hours=1)
_ALL_SECONDS_MAX: Final = 180.0
_POLL_SECONDS: Final = 0.005


def measure(status: Status) -> Row:
    """Return how fast holds and settlements are decided, beside pgbench on the same Postgres.

    The messages lie on the bus in batches as producers send them; the time runs from the first
    one sent until the last answering fact is on the bus.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("ledger decisions: starting servers"), servers(place) as up:
            with status("ledger decisions: holds and settlements"), up.service("ledger"):
                rate = asyncio.run(_decisions_per_second(up))
            with status("ledger decisions: pgbench, TPC-B-like"):
                tpc_b = pgbench(up.environment, "--builtin=tpcb-like")
            with status("ledger decisions: pgbench, one-row INSERT"):
                script = place / "insert.sql"
                script.write_text("insert into single (body) values ('x');\n")
                insert = pgbench(up.environment, f"--file={script}")
            dsn = up.environment.postgres().dsn("postgres")
            with status("ledger decisions: the eventsourcing library"):
                default = decisions_by_default(dsn, WALLETS, REFERENCE_SECONDS)
                ways = decisions_at_best(dsn, WALLETS, REFERENCE_SECONDS / 2, CLIENTS)
    best = ways[0][0]
    return Row(
        name="ledger-decisions",
        what="hold and settle decisions per second, bus to bus, one ledger process",
        reach=f"≥ {TPC_B_REACH:g} × TPC-B-like, ≥ {INSERT_REACH:g} × one-row INSERT, "
        f"≥ {BEST_REACH:g} × the best and ≥ {DEFAULT_REACH:g} × the default `eventsourcing`",
        measured=f"{rate:,.0f}/s",
        reference=f"{rate / tpc_b:.2f} × TPC-B-like ({tpc_b:,.0f}/s), "
        f"{rate / insert:.2f} × INSERT ({insert:,.0f}/s), {CLIENTS} clients each; "
        f"{rate / best:.1f} × `eventsourcing` at its best ("
        f"{'; '.join(f'{found:,.0f}/s: {way}' for found, way in ways)}), "
        f"{rate / default:.1f} × by default ({default:,.0f}/s), called directly, without a bus",
        reached=rate >= TPC_B_REACH * tpc_b
        and rate >= INSERT_REACH * insert
        and rate >= BEST_REACH * best
        and rate >= DEFAULT_REACH * default,
    )


async def _decisions_per_second(up: Servers) -> float:
    async with up.bus_as("gateway") as people, up.bus_as("deployer") as deployments:
        told = Telling()
        await fill_wallets(people, told)
        watch = Watch(people)
        await watch.facts(2 * WALLETS)
        asked = [told.row(f"deployment-{n}", asking(n)) for n in range(HOLDS)]
        succeeded = [told.row(f"deployment-{n}", succeeding(n)) for n in range(HOLDS)]
        begun = time.perf_counter()
        await publish(deployments, asked)
        await publish(deployments, succeeded)
        await watch.facts(2 * WALLETS + 2 * HOLDS)
        return 2 * HOLDS / (time.perf_counter() - begun)


class Watch:
    """Counts the ledger's facts on the bus, as anybody may who follows them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def facts(self, wanted: int) -> None:
        """Return once there are so many."""
        deadline = time.perf_counter() + _ALL_SECONDS_MAX
        while (found := await self._count()) < wanted:
            if time.perf_counter() > deadline:
                raise NotMeasuredError(f"only {found} of {wanted} facts came")
            await asyncio.sleep(_POLL_SECONDS)

    async def _count(self) -> int:
        return (await self._bus.jetstream.stream_info(facts_stream("ledger"))).state.messages


async def fill_wallets(people: Bus, told: Telling, wallets: int = WALLETS) -> None:
    """Give each wallet one awarded and one purchased lot, so that holds take of both."""
    users = [f"user-{n}" for n in range(wallets)]
    await publish(people, [told.row(user, _registered(user)) for user in users])
    requests = [event for user in users for event in (_award(user), _purchase(user))]
    await publish(people, [told.row(f"request-{r.request_id}", r) for r in requests])


def _registered(user: str) -> gateway.UserRegistered:
    return gateway.UserRegistered(
        user_id=_id_of(user), roles=("user",), referred_by=None, registered_at=_now()
    )


def _award(user: str) -> gateway.AwardRequested:
    return gateway.AwardRequested(
        **_request(user),
        credits=Credits(PRICE * HOLDS // WALLETS // 2),
        award_kind="award.goodwill",
        reason="to be measured",
        credits_expire_at=None,
    )


def _purchase(user: str) -> gateway.PurchaseRequested:
    return gateway.PurchaseRequested(
        **_request(user),
        credits=Credits(PRICE * HOLDS),
        price_minor=PRICE * HOLDS,
        currency="USD",
        reference="measured",
    )


def _request(user: str) -> dict[str, Any]:
    now = _now()
    return {
        "request_id": new_id(),
        "requested_by": "finance",
        "requested_at": now,
        "expires_at": now + _PATIENCE,
        "user_id": _id_of(user),
    }


def asking(number: int, wallets: int = WALLETS) -> deployer.HoldRequested:
    """Return that the next deployment, of one of the wallets in turn, asks for its hold."""
    now = _now()
    return deployer.HoldRequested(
        deployment_id=str(number),
        user_id=str(number % wallets),
        hold_id=f"hold-{number}",
        build_id=f"build-{number}",
        module_id="module",
        module_name="gke-cluster",
        module_version=1,
        partner_id="partner",
        project="shop",
        list_price=Credits(PRICE),
        premium=False,
        requested_at=now,
        expires_at=now + _PATIENCE,
    )


def succeeding(number: int, wallets: int = WALLETS) -> deployer.DeploymentSucceeded:
    """Return that a deployment succeeded."""
    return deployer.DeploymentSucceeded(
        deployment_id=str(number),
        user_id=str(number % wallets),
        build_id=f"build-{number}",
        action="CREATE",
        hold_id=f"hold-{number}",
        outputs="e30.AA.AA.AA.AA",
    )


def _id_of(stream: str) -> str:
    return stream.partition("-")[2]


def _now() -> datetime:
    return system_clock.now()


def pgbench(environment: Environment, *script: str) -> float:
    """Return pgbench's transactions a second, on a database of its own of the same server."""
    server = environment.postgres()
    dsn = server.dsn("postgres")
    schema = "create table if not exists single (id bigserial primary key, body text)"
    _run("psql", dsn, "--quiet", f"--command={schema}")
    _run("pgbench", "--initialize", "--quiet", "--scale=10", dsn)
    told = _run(
        "pgbench",
        f"--client={CLIENTS}",
        "--jobs=2",
        f"--time={REFERENCE_SECONDS}",
        "--no-vacuum",
        *script,
        dsn,
    )
    found = re.search(r"tps = ([0-9.]+)", told)
    if found is None:
        raise NotMeasuredError(f"pgbench says {told!r}")
    return float(found[1])


def _run(program: str, *words: str) -> str:
    result = subprocess.run(
        (str(binary(program)), *words), capture_output=True, text=True, check=False, timeout=120
    )
    if result.returncode != 0:
        raise NotMeasuredError(f"{program}: {result.stderr[-500:]}")
    return result.stdout
