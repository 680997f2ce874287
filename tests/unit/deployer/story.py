"""A deployment's facts, as tests write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.deployer.commands import (
    DeploymentCommand,
    End,
    Ending,
    Fail,
    Queue,
    Request,
    Start,
    Stopped,
    Succeed,
    TimeOut,
)
from services.deployer.decider import decide
from services.deployer.events import Deployment, DeploymentFact, HoldRequested, Inputs, Source
from services.deployer.evolution import evolve, initial

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
BUILD, HOLD = "build-d1-1", "hold-d1-1"


def inputs(version: int = 3) -> Inputs:
    """Return what a build of this version is made of."""
    return Inputs(
        module_name="network",
        module_version=version,
        source=Source(
            archive_digest=f"sha256:0{version}",
            archive_folder=".",
            repository="https://git.example.com/modules",
            commit="c0ffee",
        ),
        variables=f"ciphertext {version}",
        terraform_variables=f"ciphertext with defaults {version}",
        sensitive=("token",),
    )


ACCEPTED = HoldRequested(
    user_id="ada",
    build_id=BUILD,
    hold_id=HOLD,
    module_id="m1",
    partner_id=None,
    project=None,
    list_price=50,
    premium=False,
    inputs=inputs(),
    requested_at=NOON,
    expires_at=NOON + timedelta(minutes=5),
)
ASK = Request(accepted=ACCEPTED)
QUEUE = Queue(hold_id=HOLD, credit_cost=50, awarded_part=20, purchased_part=30)
START = Start(build_id=BUILD, executor="local")

SUCCEED = Succeed(outputs="ciphertext")
FAIL = Fail(code="APPLY_FAILED", message="no quota", platform_fault=False)
STOPPED = Stopped()
TIME_OUT = TimeOut(limit_seconds=60)
ENDINGS: tuple[Ending, ...] = (SUCCEED, FAIL, STOPPED, TIME_OUT)


def end(ending: Ending, **changed: Any) -> End:
    """Return the end of the first attempt."""
    fields: dict[str, Any] = {
        "build_id": BUILD,
        "attempt": 1,
        "owns_resources": True,
        "state_changed": True,
    }
    return End(ending=ending, **(fields | changed))


def given(*commands: DeploymentCommand) -> Deployment:
    """Return the deployment after commands."""
    deployment = initial("deployment-d1")
    for command in commands:
        deployment = after(deployment, decide(command, deployment))
    return deployment


def after(deployment: Deployment, facts: list[DeploymentFact]) -> Deployment:
    """Return the deployment after facts."""
    for fact in facts:
        deployment = evolve(deployment, fact)
    return deployment
