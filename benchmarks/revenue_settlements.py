"""How many settlements a second one revenue process books, from the bus to the bus, durably."""

import asyncio
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Final

from benchmarks.ledger_decisions import CLIENTS, pgbench
from benchmarks.ready import reachable
from benchmarks.running import NotMeasuredError
from benchmarks.servers import Servers, Telling, publish, servers
from benchmarks.table import Row, Status
from contracts.ledger import v1 as ledger
from contracts.subjects import facts_stream
from contracts.types import BasisPoints, Credits
from runtime.bus import Bus
from runtime.clock import system_clock

SETTLEMENTS: Final = 20_000
WALLETS: Final = 512
PARTNERS: Final = 50
AGENTS: Final = 20
FACTS_EACH: Final = 3
"""A line of revenue, and a share of it for a partner and for an agent."""
TPC_B_REACH: Final = 1.0
_COST: Final = 3
_ALL_SECONDS_MAX: Final = 180.0
_POLL_SECONDS: Final = 0.005
_NOTHING: Final = ledger.Balance(
    awarded=0, purchased=0, awarded_held=Credits(0), purchased_held=Credits(0)
)


def measure(status: Status) -> Row:
    """Return how fast settlements are booked with both shares, beside pgbench.

    The settlements lie on the bus in batches, as the ledger sends them; the time runs from the
    first one sent until the last line and share is on the bus.
    """
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        place = reachable(Path(folder)) / "data"
        with status("revenue settlements: starting servers"), servers(place) as up:
            with status("revenue settlements: booking"), up.service("revenue"):
                rate = asyncio.run(_settlements_per_second(up))
            with status("revenue settlements: pgbench, TPC-B-like"):
                tpc_b = pgbench(up.environment, "--builtin=tpcb-like")
    return Row(
        name="revenue-settlements",
        what="settlements booked per second with a partner's and an agent's share, bus to bus, "
        "one revenue process",
        reach=f"≥ {TPC_B_REACH:g} × TPC-B-like",
        measured=f"{rate:,.0f}/s, {FACTS_EACH * rate:,.0f} facts/s",
        reference=f"{rate / tpc_b:.2f} × TPC-B-like ({tpc_b:,.0f}/s, {CLIENTS} clients)",
        reached=rate >= TPC_B_REACH * tpc_b,
    )


async def _settlements_per_second(up: Servers) -> float:
    async with up.bus_as("ledger") as books, up.bus_as("gateway") as follower:
        told, at = Telling(), system_clock.now()
        rows = [told.row(f"wallet-{n % WALLETS}", _settled(n, at)) for n in range(SETTLEMENTS)]
        begun = time.perf_counter()
        await publish(books, rows)
        await _until_told(follower, FACTS_EACH * SETTLEMENTS)
        return SETTLEMENTS / (time.perf_counter() - begun)


async def _until_told(bus: Bus, wanted: int) -> None:
    """Return once revenue's facts on the bus are so many."""
    deadline = time.perf_counter() + _ALL_SECONDS_MAX
    while True:
        info = await bus.jetstream.stream_info(facts_stream("revenue"))
        if info.state.messages >= wanted:
            return
        if time.perf_counter() > deadline:
            raise NotMeasuredError(f"only {info.state.messages} of {wanted} facts came")
        await asyncio.sleep(_POLL_SECONDS)


def _settled(number: int, at: datetime) -> ledger.HoldSettled:
    """Return the settlement of a deployment, of one of the wallets in turn."""
    start = number // WALLETS * _COST
    spent = ledger.Slice(
        lot_id=f"lot-{number % WALLETS}",
        lot_kind="purchase",
        lot_credits=Credits(_COST * SETTLEMENTS),
        lot_price_minor=_COST * SETTLEMENTS * 10,
        start=Credits(start),
        end=Credits(start + _COST),
    )
    hold = ledger.Hold(
        hold_id=f"hold-{number}",
        deployment_id=f"{number}",
        build_id=f"build-{number}",
        user_id=f"{number % WALLETS}",
        module_id="module",
        module_name="gke-cluster",
        module_version=1,
        partner_id=f"partner-{number % PARTNERS}",
        agent_id=f"agent-{number % AGENTS}",
        project="shop",
        list_price=Credits(_COST),
        cost=Credits(_COST),
        premium=True,
        gate="PREMIUM",
        slices=(spent,),
        share_rule=ledger.ShareRule(
            settings_version=1,
            partner_basis_points=BasisPoints(3_333),
            agent_basis_points=BasisPoints(1_000),
        ),
        currency="USD",
        algorithm_version=1,
        requested_at=at,
        request_expires_at=at,
        placed_at=at,
    )
    return ledger.HoldSettled(user_id=hold.user_id, balance=_NOTHING, hold=hold, settled_at=at)
