"""The read models can be thrown away and made again from the facts."""

from typing import Any

import msgspec
import pytest

from runtime.clock import ManualClock
from runtime.store import Recorded
from services.ledger.projections.balances import Balances
from services.ledger.projections.history import History
from services.ledger.projections.holds import Holds
from services.ledger.projections.lots import Lots
from services.ledger.publishing import WALLET
from tests.integration.ledger.driver import Ledger
from tests.integration.ledger.history import a_history


async def facts(ledger: Ledger) -> list[Recorded[Any]]:
    """Return all facts, in the order in which they were written."""
    decoder = msgspec.json.Decoder(WALLET.facts)
    rows = await ledger.fetch("select * from facts order by position")
    return [
        Recorded(
            row["stream"],
            row["version"],
            row["at"],
            decoder.decode(row["body"]),
            row["id"],
            row["correlation_id"],
            row["causation_id"],
            row["actor"],
        )
        for row in rows
    ]


@pytest.mark.parametrize("batch", [1, 7, 1_000])
@pytest.mark.parametrize(
    ("projection", "table"),
    [(Balances(), "balances"), (Lots(), "lots"), (Holds(), "holds"), (History(), "history")],
)
async def test_a_read_model_made_again_in_batches_of_any_size_is_the_same(
    ledger: Ledger, clock: ManualClock, projection: Any, table: str, batch: int
) -> None:
    await a_history(ledger, clock)
    query = f"select to_jsonb(t) as row from {table} t order by t::text"
    before = await ledger.fetch(query)
    assert before
    await ledger.fetch(f"delete from {table}")
    recorded = await facts(ledger)
    async with ledger.running.pool.acquire() as connection:
        for start in range(0, len(recorded), batch):
            await projection.apply(connection, recorded[start : start + batch])
    assert await ledger.fetch(query) == before
