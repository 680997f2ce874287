"""A deployment's whole life over HTTP, with Terraform: made, updated, destroyed, erased."""

import asyncio
from typing import Any, Final

import asyncpg
import pytest

from tests.e2e.gates import Gate, gated_story, publish_gated
from tests.e2e.invariants import broken
from tests.e2e.repositories import GATED_PRICE
from tests.support.story import Story, balance, deploy, until_ended, wait_for

pytestmark = [pytest.mark.timeout(300)]

CREDITS: Final = 100


def changes(told: Story, path: str, method: str, body: Any = None) -> Any:
    """Ask for a change, and return the deployment once its build has ended."""
    count = len(told.user.gets(path)["builds"])
    told.user.asks(method, path if method != "POST" else f"{path}/retry", body, status=202)
    return wait_for(
        f"the end of {method} {path}",
        lambda: told.user.gets(path),
        lambda shown: len(shown["builds"]) > count and shown["builds"][-1]["finished_at"],
    )


def last(shown: Any) -> tuple[str, str, str]:
    """Return what the deployment is, and what its last build was and came to."""
    build = shown["builds"][-1]
    return shown["status"], build["action"], build["status"]


def test_a_deployment_is_made_updated_destroyed_and_erased_and_costs_once() -> None:
    with gated_story(TOLLGATE_RETENTION_CHECK_SECONDS="0.5") as (told, gates):
        card = publish_gated(told, CREDITS)
        gate = Gate(gates / "gate")
        gate.open()
        path = it_fails_at_first_and_is_retried(told, card, gate)
        it_is_updated(told, path, gate)
        it_is_destroyed(told, path, gate)
        what_it_cost_is_told(told)
        it_is_erased(told, path)
        assert asyncio.run(broken(told.system)) == []


def it_fails_at_first_and_is_retried(told: Story, card: Any, gate: Gate) -> str:
    """A creation that fails costs nothing; to try again is paid for, and once."""
    gate.breaks(True)
    path = f"/api/deployments/{deploy(told.user, card, gate.values('one'))['id']}"
    shown = until_ended(told.user, path.rpartition("/")[2])
    assert last(shown) == ("FAILED", "CREATE", "FAILED")
    assert shown["owns_resources"] is True
    released = wait_for("the release", lambda: balance(told.user), lambda now: now[2] == 0)
    assert released == (CREDITS, 0, 0)
    assert told.user.gets(path)["settlement"]["status"] == "RELEASED"

    gate.breaks(False)
    shown = changes(told, path, "POST")
    assert last(shown) == ("SUCCESS", "CREATE", "SUCCESS")
    assert (shown["error"], shown["outputs"]["word"]["value"]) == (None, "one")
    settled = wait_for("the settlement", lambda: balance(told.user), lambda now: now[2] == 0)
    assert settled == (CREDITS - GATED_PRICE, 0, 0)
    return path


def it_is_updated(told: Story, path: str, gate: Gate) -> None:
    """An update that fails leaves it live and says so; a retry finishes it."""
    shown = changes(told, path, "PUT", {"variables": gate.values("two")})
    assert last(shown) == ("SUCCESS", "UPDATE", "SUCCESS")
    assert shown["outputs"]["word"]["value"] == "two"

    gate.breaks(True)
    shown = changes(told, path, "PUT", {"variables": gate.values("three")})
    assert last(shown) == ("SUCCESS", "UPDATE", "FAILED")
    assert shown["owns_resources"] is True
    assert shown["error"]["platform_fault"] is False

    gate.breaks(False)
    shown = changes(told, path, "POST")
    assert last(shown) == ("SUCCESS", "UPDATE", "SUCCESS")
    assert (shown["error"], shown["outputs"]["word"]["value"]) == (None, "three")


def it_is_destroyed(told: Story, path: str, gate: Gate) -> None:
    """A destroy that fails leaves it live and says so; a retry ends it."""
    gate.breaks(True)
    shown = changes(told, path, "DELETE")
    assert last(shown) == ("SUCCESS", "DESTROY", "FAILED")
    assert (shown["owns_resources"], shown["error"]["platform_fault"]) == (True, False)

    gate.breaks(False)
    shown = changes(told, path, "POST")
    assert last(shown) == ("DESTROYED", "DESTROY", "SUCCESS")
    assert (shown["owns_resources"], shown["outputs"]) == (False, None)


def what_it_cost_is_told(told: Story) -> None:
    """Of two holds one was given back and one spent; all that came later cost nothing."""
    history = told.user.lists("/api/credits/history")
    types = sorted(line["type"] for line in history)
    assert types == ["AWARD", "HOLD", "HOLD", "RELEASE", "SPEND"]
    assert balance(told.user) == (CREDITS - GATED_PRICE, 0, 0)


def it_is_erased(told: Story, path: str) -> None:
    """After the retention time nothing is left of it but counts, and the ledger."""
    told.admin.patches("/api/settings", {"retention_days": 30})
    asyncio.run(_ages(told, days=31))
    wait_for(
        "the erasure",
        lambda: told.user.lists("/api/deployments"),
        lambda deployments: deployments == [],
    )
    told.user.asks("GET", path, status=404)
    told.user.asks("GET", f"{path}/logs", status=404)
    stats = told.user.gets("/api/deployments/stats")
    assert (stats["deployment_count"], stats["active_count"]) == (1, 0)
    assert stats["retention_days"] == 30
    assert len(told.user.lists("/api/credits/history")) == 5


async def _ages(told: Story, *, days: int) -> None:
    """Let all that rests have rested for so long already."""
    connection = await asyncpg.connect(told.system.endpoints["postgres"]["deployer"])
    await connection.execute("update resting set since = since - $1 * interval '1 day'", days)
    await connection.close()
