"""Builds whose record was lost with the deployer's database: they end, and run nothing again."""

from typing import Any

import pytest

from services.deployer.abandoned import CODE, abandon
from services.deployer.events import Deployment
from services.deployer.evolution import evolve

HEAD = {"deployment_id": "d", "user_id": "u"}
BUILD = HEAD | {"build_id": "b", "action": "CREATE"}
ASKED = ("hold_requested", HEAD | {"build_id": "b", "hold_id": "h"})
QUEUED = ("deployment_queued", BUILD | {"hold_id": "h"})
STARTED = ("deployment_provisioning", BUILD)
SUCCEEDED = ("deployment_succeeded", BUILD | {"hold_id": "h"})
DESTROYING = ("deployment_destroying", BUILD | {"action": "DESTROY"})

NEW = Deployment(deployment_id="d")
RUNNING = Deployment(deployment_id="d", status="PROVISIONING")
LIVE = Deployment(deployment_id="d", status="SUCCESS", resting="SUCCESS", owns_resources=True)


@pytest.mark.parametrize(
    ("deployment", "told", "hold_id", "status"),
    [
        (NEW, [ASKED], "h", "FAILED"),
        (NEW, [ASKED, QUEUED, STARTED], "h", "FAILED"),
        (RUNNING, [SUCCEEDED], None, "FAILED"),
        (LIVE, [DESTROYING], None, "SUCCESS"),
    ],
    ids=["asked for since", "begun since", "ended since", "being destroyed since"],
)
def test_what_is_open_anywhere_ends_and_names_a_hold_that_is_open(
    deployment: Deployment, told: list[tuple[str, Any]], hold_id: str | None, status: str
) -> None:
    end = abandon(deployment, told)
    assert end is not None
    assert (end.build_id, end.user_id, end.code) == ("b", "u", CODE)
    assert (end.hold_id, end.status) == (hold_id, status)
    assert evolve(deployment, end).status == status
    assert abandon(evolve(deployment, end), [SUCCEEDED]) is None


def test_what_is_open_nowhere_stays() -> None:
    assert abandon(NEW, [ASKED, QUEUED, STARTED, SUCCEEDED]) is None
    assert abandon(LIVE, [SUCCEEDED]) is None
