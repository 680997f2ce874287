"""What rests and owns nothing is erased when its time is over; what owns resources is kept."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contracts.deployer import v1
from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from contracts.types import Credits
from runtime.clock import system_clock
from services.deployer.retention import erase_old
from tests.integration.deployer.modules import module, running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import program

DAYS = 30
EMPTY = 'output "made" { value = "nothing" }'
TABLES = ("builds", "leases", "states", "state_locks", "log_chunks", "resting")


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


class LaterClock:
    """A clock that is so many days ahead."""

    def __init__(self, days: int) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return system_clock.now() + self._ahead


async def keeps(deployer: HandledDeployer, days: int | None) -> None:
    """Have the platform's settings say how long what rests is kept."""
    event = gateway.SettingsChanged(
        settings_version=1,
        credits_enabled=True,
        credits_per_unit=1,
        credit_bundles=(),
        currency="USD",
        signup_award=Credits(0),
        referral_award=Credits(0),
        award_expiry_days=None,
        shares=(),
        retention_days=days,
        project_costs_enabled=False,
        self_registration=True,
        platform_repository_url=None,
        platform_repository_branch=None,
        changed_by="admin",
        changed_at=system_clock.now(),
    )
    await deployer.tell("gateway", "settings-platform", event)


async def key_of(deployer: HandledDeployer, deployment_id: str) -> object:
    return await deployer.pool.fetchval(
        "select body from documents where collection = 'data_key' and key = $1", deployment_id
    )


async def known(deployer: HandledDeployer, deployment_id: str) -> dict[str, int]:
    """Return how many rows each table has of a deployment."""
    return {
        table: await deployer.pool.fetchval(
            f"select count(*) from {table} where deployment_id = $1",  # noqa: S608 - our own
            deployment_id,
        )
        for table in TABLES
    }


async def test_what_owns_nothing_is_erased_when_its_time_is_over_and_the_rest_is_kept(
    still_deployer: HandledDeployer, tmp_path: Path
) -> None:
    deployer = still_deployer
    async with deployer.process():
        await keeps(deployer, DAYS)
        empty = await deployer.deploy(module(tmp_path / "empty", EMPTY), {})
        assert await deployer.until_ended(empty) == "build_succeeded"
        owning = await deployer.deploy(running(tmp_path / "owning", "echo hello"), {})
        assert await deployer.until_ended(owning) == "build_succeeded"
        broken = await deployer.deploy(running(tmp_path / "broken", "exit 1"), {})
        assert await deployer.until_ended(broken) == "build_failed"

    async with deployer.process(clock=LaterClock(DAYS - 1)):
        assert await erase_old(deployer.running, lambda: None) == 0
    async with deployer.process(clock=LaterClock(DAYS + 1)):
        await deployer.until_fact(empty, "deployment_erased")
        assert await erase_old(deployer.running, lambda: None) == 0

    assert await known(deployer, empty) == dict.fromkeys(TABLES, 0)
    assert await key_of(deployer, empty) is None
    for kept in (owning, broken):
        assert (await known(deployer, kept))["builds"] == 1
        assert await key_of(deployer, kept) is not None
    subject = v1.DeploymentErased.bus_subject()
    told = "select count(*) from outbox where subject = $1"
    assert await deployer.pool.fetchval(told, subject) == 1


async def test_what_is_kept_for_ever_is_kept(
    still_deployer: HandledDeployer, tmp_path: Path
) -> None:
    deployer = still_deployer
    async with deployer.process():
        await keeps(deployer, None)
        empty = await deployer.deploy(module(tmp_path / "empty", EMPTY), {})
        await deployer.until_ended(empty)
    async with deployer.process(clock=LaterClock(36_500)):
        assert await erase_old(deployer.running, lambda: None) == 0
    assert await key_of(deployer, empty) is not None


async def test_the_variables_of_what_is_refused_are_erased_at_once(
    deployer: HandledDeployer, tmp_path: Path
) -> None:
    module_id = await deployer.publish_module(module(tmp_path / "empty", EMPTY))
    deployment_id = await deployer.ask(module_id, {})
    await deployer.until_fact(deployment_id, "hold_requested")
    assert await key_of(deployer, deployment_id) is not None
    refused = ledger.HoldRefused(
        user_id="user-1",
        balance=ledger.Balance(
            awarded=0, purchased=0, awarded_held=Credits(0), purchased_held=Credits(0)
        ),
        hold_id=f"hold-{deployment_id}-1",
        deployment_id=deployment_id,
        build_id=f"build-{deployment_id}-1",
        code="INSUFFICIENT_TOTAL_CREDITS",
        required=Credits(10),
        available=0,
        premium=False,
        request_expires_at=system_clock.now(),
    )
    await deployer.tell("ledger", "wallet-user-1", refused)
    await deployer.until_fact(deployment_id, "deployment_refused")
    assert await key_of(deployer, deployment_id) is None
