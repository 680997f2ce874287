"""What can be done with a deployment; the decider says when."""

from dataclasses import dataclass
from datetime import datetime

from services.deployer.events import HoldRequested, Inputs, Problem


@dataclass(frozen=True, kw_only=True)
class Request:
    """Ask for a hold: the request was found valid."""

    accepted: HoldRequested


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """Turn a request down; with `hold_id` only where that hold is the one that is waited for."""

    user_id: str
    code: str
    detail: str
    required: int | None = None
    available: int | None = None
    errors: tuple[Problem, ...] = ()
    hold_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The hold stands: the build may wait for a runner."""

    hold_id: str
    credit_cost: int
    awarded_part: int
    purchased_part: int


@dataclass(frozen=True, kw_only=True)
class Update:
    """Build anew from these inputs, which were found valid."""

    inputs: Inputs


@dataclass(frozen=True, kw_only=True)
class Destroy:
    """Destroy all that the deployment owns."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Try the build again that ended last, and not well; where it is a CREATE, for a new hold."""

    requested_at: datetime
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Start:
    """Give the build to a runner, as its first attempt."""

    build_id: str
    executor: str


@dataclass(frozen=True, kw_only=True)
class Reassign:
    """Give the build to another runner, since the one of this attempt never came for it."""

    build_id: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Somebody who may wants the build stopped."""

    requested_by: str


@dataclass(frozen=True, kw_only=True)
class Succeed:
    """The runner reports success."""

    outputs: str


@dataclass(frozen=True, kw_only=True)
class Fail:
    """The build failed: by the module, or (`platform_fault`) by ours."""

    code: str
    message: str
    platform_fault: bool


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The runner stopped the build because it was told to."""


@dataclass(frozen=True, kw_only=True)
class TimeOut:
    """The runner stopped the build because it took too long."""

    limit_seconds: int


Ending = Succeed | Fail | Stopped | TimeOut


@dataclass(frozen=True, kw_only=True)
class End:
    """End a build's attempt.

    `owns_resources` tells that the state is not empty, `state_changed` that this build wrote it.
    """

    build_id: str
    attempt: int
    ending: Ending
    owns_resources: bool
    state_changed: bool


@dataclass(frozen=True, kw_only=True)
class Erase:
    """Forget the deployment: its last build was this one, and has ended too long ago."""

    build_id: str


DeploymentCommand = (
    Request | Refuse | Queue | Update | Destroy | Retry | Start | Reassign | Cancel | End | Erase
)
