"""Each service's database is lost in turn and restored from an old backup, on a running system."""

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from contracts.registry import SERVICES
from devkit.postgres import binary
from runtime.migrate import owner_role, service_role
from tests.e2e.gates import Gate, gated_story, publish_gated
from tests.e2e.kept import when_quiet
from tests.e2e.repositories import GATED_PRICE
from tests.e2e.system import System
from tests.support.story import (
    Story,
    balance,
    deploy,
    succeeds,
    sync,
    until_ended,
    usd,
    wait_for,
)
from tollgate.target import admin_dsn, with_database

pytestmark = [pytest.mark.timeout(300)]

BOUGHT: Final = 200
TOOL_SECONDS_MAX: Final = 60


def back_up(system: System, service: str) -> None:
    """Dump a service's database as it is, while it works."""
    run_tool(
        "pg_dump", "--format=custom", f"--file={backup_of(system, service)}", dsn(system, service)
    )


def restore(system: System, service: str) -> None:
    """Put the backup in the place of a service's database."""
    asyncio.run(make_anew(system, service))
    run_tool("pg_restore", f"--dbname={dsn(system, service)}", str(backup_of(system, service)))


async def make_anew(system: System, service: str) -> None:
    server, _ = admin_dsn(system.data_dir)
    name = service_role(service)
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f"drop database {name} with (force)")
        await admin.execute(f"create database {name} owner {owner_role(service)}")
        await admin.execute(f"grant connect on database {name} to {name}")
    finally:
        await admin.close()


def backup_of(system: System, service: str) -> Path:
    return system.data_dir.parent / f"{service}.dump"


def dsn(system: System, service: str) -> str:
    """Return how the administrator connects to a service's database."""
    server, _ = admin_dsn(system.data_dir)
    return with_database(server, service_role(service))


def run_tool(name: str, *arguments: str) -> None:
    subprocess.run(
        [binary(name), *arguments], check=True, capture_output=True, timeout=TOOL_SECONDS_MAX
    )


@dataclass
class Restorable:
    """A system that went on after all its databases were backed up, and what is under way."""

    told: Story
    settled: str
    finished: str
    running: str
    gate: Gate

    def restored(self, service: str, *, loses: bool) -> str:
        """Restore a service's database and import; return what the import says it lost."""
        system = self.told.system
        system.wait_until_ready()
        before = self.figures()
        restore(system, service)
        log = system.data_dir / "logs" / f"{service}.log"
        wait_for(
            "the refusal", log.read_text, lambda text: "the database is older than the bus" in text
        )
        asked = system.run("db", "import", service, "--check")
        assert asked.returncode == (1 if loses else 0), asked.stdout + asked.stderr
        options = ("--accept-loss",) if loses else ()
        done = system.run("db", "import", service, *options)
        assert done.returncode == asked.returncode, done.stderr
        system.wait_until_ready()
        if service != "deployer":
            wait_for("the same figures", self.figures, lambda now: now == before)
        return asked.stdout

    def figures(self) -> tuple[Any, ...]:
        """Return the user's balance, what everybody earned, and the settings' version."""
        told = self.told
        return (
            balance(told.user),
            told.finance.gets("/api/revenue/users")["totals"],
            told.admin.gets("/api/settings")["version"],
        )


@pytest.fixture(scope="module")
def restorable(real_programs: None) -> Iterator[Restorable]:
    with gated_story() as (told, gates):
        told.finance.signs_up()
        told.admin.patches(f"/api/users/{told.finance.id}", {"roles": ["user", "finance"]})
        card = publish_gated(told, 1)
        bought = {"credits": BOUGHT, "price": usd(BOUGHT * 100), "reference": "x"}
        told.finance.posts("/api/credits/purchases", {"user_id": told.user.id, **bought})
        gates_of = {name: Gate(gates / name) for name in ("one", "two", "three")}
        gates_of["one"].open()

        def deployed(name: str) -> str:
            return str(deploy(told.user, card, gates_of[name].values(name))["id"])

        settled = deployed("one")
        succeeds(told.user, settled)
        finished = deployed("two")
        until_provisioning(told, finished)
        for service in SERVICES:
            back_up(told.system, service)
        told.system.wait_until_ready()

        gates_of["two"].open()
        succeeds(told.user, finished)
        told.admin.patches("/api/settings", {"agent_revenue_share": "5.00", "signup_award": 7})
        told.agent.signs_up()
        told.admin.patches(f"/api/users/{told.agent.id}", {"roles": ["user", "agent"]})
        told.admin.patches(f"/api/users/{told.user.id}", {"referred_by": told.agent.id})
        refund = {"reason": "it was down", "credits": 2}
        told.admin.posts(f"/api/deployments/{settled}/refund", refund)
        assert sync(told.admin, "platform")["status"] == "DONE"
        running = deployed("three")
        until_provisioning(told, running)
        wait_for("the settlements", lambda: balance(told.user)[2], lambda h: h == GATED_PRICE)
        yield Restorable(told, settled, finished, running, gates_of["three"])


def until_provisioning(told: Story, deployment_id: str) -> None:
    wait_for(
        "the build's start",
        lambda: told.user.gets(f"/api/deployments/{deployment_id}"),
        lambda shown: shown["status"] == "PROVISIONING",
    )


@pytest.mark.parametrize("service", ["ledger", "revenue", "gateway"])
def test_what_was_published_since_comes_back_whole(restorable: Restorable, service: str) -> None:
    assert "lost:" not in restorable.restored(service, loses=False)
    answer = restorable.told.system.run("replay", "--engine", "both")
    assert answer.returncode == 0, answer.stdout


def test_a_catalogue_lacks_syncs_only_and_the_next_one_works(restorable: Restorable) -> None:
    told = restorable.restored("catalog", loses=True)
    lost = [line.split()[3] for line in told.splitlines() if line.startswith("lost:")]
    assert set(lost) == {"tollgate.catalog.sync_finished.v1"}
    assert sync(restorable.told.admin, "platform")["status"] == "DONE"


def test_a_deployer_ends_what_it_lost_and_gives_the_credits_back(restorable: Restorable) -> None:
    """One build was open in the backup and has ended since; another one began since, and runs."""
    story, user = restorable.told, restorable.told.user
    awarded, purchased, held = balance(user)
    assert held == GATED_PRICE

    restorable.restored("deployer", loses=True)

    ended = until_ended(user, restorable.running)
    assert ended["status"] == "FAILED"
    assert ended["builds"][-1]["error"]["code"] == "RECORD_LOST"
    given_back = wait_for("the release", lambda: balance(user), lambda now: now[2] == 0)
    assert given_back == (awarded, purchased, 0)
    shown = user.gets(f"/api/deployments/{restorable.finished}")
    assert shown["settlement"]["status"] == "SETTLED"
    restorable.gate.open()
    asyncio.run(when_quiet(story.system))
    answer = story.system.run("replay", "--engine", "both")
    assert answer.returncode == 0, answer.stdout
