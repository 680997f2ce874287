"""Every call in every status that forbids it is refused by name, and changes nothing."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.gates import Gate, gated_story, publish_gated
from tests.e2e.repositories import GATED
from tests.support.story import Story, deploy, module, wait_for

pytestmark = [pytest.mark.timeout(300)]

CALLS: Final = {
    "update": ("PUT", "", {"variables": {"gate": "/nowhere", "word": "other"}}),
    "destroy": ("DELETE", "", None),
    "retry": ("POST", "/retry", None),
    "cancel": ("POST", "/cancel", None),
}
FORBIDDEN: Final = {
    "QUEUED": ("update", "destroy", "retry"),
    "PROVISIONING": ("update", "destroy", "retry"),
    "SUCCESS": ("retry", "cancel"),
    "UPDATING": ("update", "destroy", "retry"),
    "DESTROYING": ("update", "destroy", "retry"),
    "FAILED": ("update", "cancel"),
    "CANCELLED": ("update", "cancel"),
    "TIMED_OUT": ("update", "cancel"),
    "DESTROYED": ("update", "destroy", "retry", "cancel"),
}
"""All that is not here is possible, and tested where it is done."""

BUILD_SECONDS_MAX: Final = 20
_NUMBERS = count()


@pytest.fixture(scope="module")
def gated() -> Iterator[tuple[Story, Path]]:
    """Run a system with one runner, where a build has twenty seconds."""
    with gated_story(
        TOLLGATE_CONCURRENT_BUILDS_MAX="1", TOLLGATE_BUILD_SECONDS_MAX=str(BUILD_SECONDS_MAX)
    ) as (told, gates):
        publish_gated(told, 1_000)
        yield told, gates


class Life:
    """A deployment that is brought into a status."""

    def __init__(self, told: Story, gates: Path) -> None:
        self.told = told
        self.gate = Gate(gates / f"gate-{next(_NUMBERS)}")
        made = deploy(told.user, module(told.user, GATED), self.gate.values("one"))
        self.path = f"/api/deployments/{made['id']}"

    def until(self, status: str) -> None:
        wait_for(status, self.shown, lambda shown: shown["status"] == status)

    def shown(self) -> Any:
        return self.told.user.gets(self.path)

    def asks(self, call: str, body: Any = None) -> None:
        method, tail, _ = CALLS[call]
        self.told.user.asks(method, self.path + tail, body, status=202)

    def lives(self) -> None:
        self.gate.open()
        self.until("SUCCESS")

    def comes_to(self, status: str) -> None:
        """Bring it into the status; what it waits for must be the only build that runs."""
        match status:
            case "FAILED":
                self.gate.breaks(True)
                self.gate.open()
            case "CANCELLED":
                self.until("PROVISIONING")
                self.asks("cancel")
            case "SUCCESS":
                self.lives()
            case "UPDATING":
                self.lives()
                self.gate.close()
                self.asks("update", {"variables": self.gate.values("two")})
            case "DESTROYING" | "DESTROYED":
                self.lives()
                if status == "DESTROYING":
                    self.gate.close()
                self.asks("destroy")
            case _:
                pass
        self.until(status)


@pytest.mark.parametrize("status", FORBIDDEN)
def test_what_the_status_forbids_is_refused_with_the_status_and_changes_nothing(
    gated: tuple[Story, Path], status: str
) -> None:
    told, gates = gated
    before = Life(told, gates) if status == "QUEUED" else None
    life = Life(told, gates)
    try:
        life.comes_to(status)
        shown = life.shown()
        for call in FORBIDDEN[status]:
            method, tail, body = CALLS[call]
            problem = told.user.is_refused(
                life.path + tail, body, status=409, code="ILLEGAL_TRANSITION", method=method
            )
            assert problem["current_status"] == status, call
        after = life.shown()
        assert (after["status"], len(after["builds"])) == (status, len(shown["builds"]))
    finally:
        for each in (before, life):
            if each is not None:
                each.gate.open()
                wait_for("rest", each.shown, lambda shown: shown["builds"][-1]["finished_at"])
