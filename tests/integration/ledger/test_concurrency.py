"""However many ask at once, no credit is spent twice."""

import asyncio
from collections import Counter

from runtime.clock import ManualClock
from runtime.process import assemble
from services.ledger.main import build
from services.ledger.replay import replay, verify
from services.wiring import WIRING
from tests.integration.ledger.driver import Ledger, settings_for, succeeded
from tests.support.environment import Database

REQUESTS = 200


async def test_of_two_hundred_holds_at_once_exactly_the_seven_that_can_be_paid_pass(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.award("user-1", 33)
    await ledger.purchase("user-1", 40, 4_000)
    settings = settings_for(database)
    async with assemble(build(settings), settings, WIRING, clock=clock) as replica:
        replicas = [ledger, Ledger(replica)]
        asked = [
            ledger.envelope(f"deployment-d{n}", ledger.asking(f"d{n}", "user-1", 10))
            for n in range(REQUESTS)
        ]
        await asyncio.gather(
            *(
                replicas[n % 2].hand_in(asked[start : start + 5])
                for n, start in enumerate(range(0, REQUESTS, 5))
            )
        )
    published = Counter(await ledger.published("wallet-user-1"))
    assert published["hold_placed"] == 7
    assert published["hold_refused"] == REQUESTS - 7
    assert await ledger.balance("user-1") == (33, 40, 33, 37)
    assert await ledger.waiting() == []
    assert (await replay(database.dsn)).ok


async def test_replicas_that_are_told_the_same_at_once_do_it_once(
    ledger: Ledger, clock: ManualClock, database: Database
) -> None:
    await ledger.award("user-1", 100)
    settings = settings_for(database)
    async with assemble(build(settings), settings, WIRING, clock=clock) as replica:
        other = Ledger(replica)
        told = []
        for n in range(20):
            stream = f"deployment-d{n}"
            told.append(ledger.envelope(stream, ledger.asking(f"d{n}", "user-1", 5)))
            told.append(ledger.envelope(stream, succeeded(f"d{n}", "user-1")))
        await asyncio.gather(ledger.hand_in(told), other.hand_in(told))
        await ledger.until("select 1 from balances where awarded = 0")
    published = Counter(await ledger.published("wallet-user-1"))
    assert published == {"credits_awarded": 1, "hold_placed": 20, "hold_settled": 20}
    assert (await verify(database.dsn)).ok
    assert (await replay(database.dsn)).ok
