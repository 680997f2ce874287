"""The ledger adds itself up, and folds wallets anew, and says where something does not fit."""

import asyncpg
import pytest
from prometheus_client import REGISTRY

from services.ledger.metrics import measures
from tests.integration.ledger.driver import Ledger
from tests.support.environment import Database


async def measured(ledger: Ledger) -> dict[str, float]:
    """Return what one round of each measure finds."""
    for measure in measures():
        await measure.read(ledger.running)
    return {
        name: REGISTRY.get_sample_value(f"tollgate_{metric}", labels) or 0.0
        for name, metric, labels in (
            ("lots", "ledger_imbalance_credits", {"beside": "lots"}),
            ("holds", "ledger_imbalance_credits", {"beside": "holds"}),
            ("replay", "replay_differences", {}),
            ("wallets", "replay_wallets_total", {}),
        )
    }


async def something_of_everything(ledger: Ledger) -> None:
    await ledger.award("user-1", 30)
    await ledger.purchase("user-1", 100, 10_000)
    for deployment in ("deployment-1", "deployment-2", "deployment-3"):
        await ledger.hold(deployment, "user-1", 20)
    await ledger.succeed("deployment-1", "user-1")
    await ledger.fail("deployment-2", "user-1")


async def test_a_ledger_that_is_whole_is_said_to_be(ledger: Ledger) -> None:
    await something_of_everything(ledger)
    before = await measured(ledger)
    after = await measured(ledger)
    assert (after["lots"], after["holds"], after["replay"]) == (0, 0, 0)
    assert after["wallets"] == before["wallets"] + 1


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("update balances set purchased = purchased + 7", (7, 0, 1)),
        ("update balances set awarded_held = awarded_held + 2", (2, 2, 1)),
        ("update lots set free = free - 1, adjusted = adjusted + 1 where free > 50", (1, 0, 0)),
        ("update holds set status = 'RELEASED' where status = 'PLACED'", (0, 20, 0)),
        ("delete from balances", (130, 20, 0)),
    ],
)
async def test_what_does_not_fit_is_counted_in_credits(
    ledger: Ledger, database: Database, damage: str, found: tuple[int, int, int]
) -> None:
    """`found` is beside lots, beside holds, and how many wallets replay differently."""
    await something_of_everything(ledger)
    administrator = await asyncpg.connect(database.admin_dsn)
    try:
        await administrator.execute(damage)
    finally:
        await administrator.close()
    after = await measured(ledger)
    assert (after["lots"], after["holds"], after["replay"]) == found


async def test_a_wallet_whose_facts_cannot_be_folded_is_counted_and_hides_no_other(
    ledger: Ledger, database: Database
) -> None:
    await something_of_everything(ledger)
    await ledger.register("user-2")
    await ledger.award("user-2", 10)
    administrator = await asyncpg.connect(database.admin_dsn)
    try:
        await administrator.execute("alter table facts disable trigger user")
        await administrator.execute(
            "update facts set body = replace(body::text, 'hold_settled', 'hold_kept')"
        )
    finally:
        await administrator.close()
    before = await measured(ledger)
    after = await measured(ledger)
    assert after["replay"] == 1
    assert after["wallets"] == before["wallets"] + 2
