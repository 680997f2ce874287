"""What the deployer stores of a deployment: its facts, and the state they fold to.

Variables and outputs are only ever ciphertext here, under the deployment's own data key.
"""

from datetime import datetime
from typing import Literal

import msgspec

Action = Literal["CREATE", "UPDATE", "DESTROY"]
Status = Literal[
    "NEW", "REQUESTED", "REFUSED", "QUEUED", "PROVISIONING", "SUCCESS", "FAILED", "CANCELLED",
    "TIMED_OUT", "UPDATING", "DESTROYING", "DESTROYED", "ERASED",
]  # fmt: skip
Phase = Literal["QUEUED", "RUNNING", "SUCCEEDED", "UNSUCCESSFUL"]


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a fact or of the state."""


class Problem(Value, frozen=True, kw_only=True):
    """One thing that is wrong with what was asked for."""

    pointer: str
    message: str
    code: str


class Source(Value, frozen=True, kw_only=True):
    """The module's source, by content: an archive and the folder in it that Terraform runs in.

    `repository` and `commit` are where it was read from: to be told, never to be read again.
    """

    archive_digest: str
    archive_folder: str
    repository: str
    commit: str


class Inputs(Value, frozen=True, kw_only=True):
    """What a build is made of: a version of the module, and values for its variables.

    `variables` are those that were given, `terraform_variables` what Terraform gets: these and the
    module's defaults. Both are ciphertext.
    """

    module_name: str
    module_version: int
    source: Source
    variables: str
    terraform_variables: str
    sensitive: tuple[str, ...]


class HoldRequested(Value, frozen=True, kw_only=True, tag_field="fact", tag="hold_requested"):
    """A CREATE build was asked for and is valid; the ledger is asked to hold its price."""

    user_id: str
    build_id: str
    hold_id: str
    module_id: str
    partner_id: str | None
    project: str | None
    list_price: int
    premium: bool
    inputs: Inputs
    requested_at: datetime
    expires_at: datetime


class DeploymentRefused(
    Value, frozen=True, kw_only=True, tag_field="fact", tag="deployment_refused"
):
    """The deployment does not come to be."""

    user_id: str
    code: str
    detail: str
    required: int | None = None
    available: int | None = None
    errors: tuple[Problem, ...] = ()


class RetryRefused(Value, frozen=True, kw_only=True, tag_field="fact", tag="retry_refused"):
    """No credits are held to try again: the deployment stays as it was."""

    user_id: str
    code: str


class BuildFact(Value, frozen=True, kw_only=True):
    """What every fact of a build says: whose it is, and which hold pays for it."""

    build_id: str
    action: Action
    user_id: str
    hold_id: str | None


class BuildQueued(BuildFact, frozen=True, kw_only=True, tag_field="fact", tag="build_queued"):
    """The credits are held, and the CREATE build waits for a runner."""

    request: HoldRequested
    credit_cost: int
    awarded_part: int
    purchased_part: int


class UpdateQueued(BuildFact, frozen=True, kw_only=True, tag_field="fact", tag="update_queued"):
    """An UPDATE build waits for a runner."""

    module_id: str
    inputs: Inputs


class DestroyQueued(BuildFact, frozen=True, kw_only=True, tag_field="fact", tag="destroy_queued"):
    """A DESTROY build waits for a runner; its inputs are what the resources were made of."""

    inputs: Inputs


class BuildStarted(BuildFact, frozen=True, kw_only=True, tag_field="fact", tag="build_started"):
    """A runner was given the build; `attempt` fences it from any other."""

    attempt: int
    executor: str


class BuildReassigned(
    BuildFact, frozen=True, kw_only=True, tag_field="fact", tag="build_reassigned"
):
    """The runner never came for the build: another may, and what the first one holds is void."""

    attempt: int


class CancelRequested(Value, frozen=True, kw_only=True, tag_field="fact", tag="cancel_requested"):
    """A running build should be stopped."""

    build_id: str
    requested_by: str


class BuildSucceeded(BuildFact, frozen=True, kw_only=True, tag_field="fact", tag="build_succeeded"):
    """The build ended well."""

    attempt: int
    outputs: str
    owns_resources: bool


class Unsuccessful(BuildFact, frozen=True, kw_only=True):
    """What every end says that is no success.

    `owns_resources` tells that the state is not empty, `state_changed` that this build changed it,
    `status` what the deployment is from now on.
    """

    attempt: int
    owns_resources: bool
    state_changed: bool
    status: Status


class BuildFailed(Unsuccessful, frozen=True, kw_only=True, tag_field="fact", tag="build_failed"):
    """The build ended badly."""

    code: str
    message: str
    platform_fault: bool


class BuildCancelled(
    Unsuccessful, frozen=True, kw_only=True, tag_field="fact", tag="build_cancelled"
):
    """The build was cancelled, waiting or running."""

    cancelled_by: str


class BuildTimedOut(
    Unsuccessful, frozen=True, kw_only=True, tag_field="fact", tag="build_timed_out"
):
    """The build took longer than it may."""

    limit_seconds: int


class DeploymentErased(Value, frozen=True, kw_only=True, tag_field="fact", tag="deployment_erased"):
    """The retention time is over; the key to what was encrypted is destroyed with this."""

    user_id: str


BuildEnd = BuildSucceeded | BuildFailed | BuildCancelled | BuildTimedOut
DeploymentFact = (
    HoldRequested
    | DeploymentRefused
    | RetryRefused
    | BuildQueued
    | UpdateQueued
    | DestroyQueued
    | BuildStarted
    | BuildReassigned
    | CancelRequested
    | BuildSucceeded
    | BuildFailed
    | BuildCancelled
    | BuildTimedOut
    | DeploymentErased
)


class Build(Value, frozen=True, kw_only=True):
    """The deployment's newest build. `attempt` is 0 until a runner has it."""

    build_id: str
    action: Action
    inputs: Inputs
    phase: Phase = "QUEUED"
    attempt: int = 0
    cancel_requested_by: str | None = None


class Deployment(Value, frozen=True, kw_only=True):
    """A deployment as it stands; `NEW` until somebody asks for it.

    `resting` is the status that it has, or falls back to, while no build is open. `request` is the
    newest one for a hold. `inputs` are what its resources were made of. `builds` counts every build
    that was asked for: the next one's number follows it.
    """

    deployment_id: str
    status: Status = "NEW"
    resting: Status = "NEW"
    request: HoldRequested | None = None
    inputs: Inputs | None = None
    build: Build | None = None
    builds: int = 0
    owns_resources: bool = False
