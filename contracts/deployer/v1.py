"""What the deployer says, version 1: the life of a deployment and of each of its builds.

Everything about one deployment is in its own stream, `deployment-<id>`. Variables and outputs are
encrypted under the deployment's data key, which only the gateway and the deployer hold.
"""

from typing import ClassVar

from contracts import events
from contracts.types import (
    Amount,
    BuildAction,
    Ciphertext,
    DeploymentStatus,
    Id,
    Instant,
    LongText,
    Ordinal,
    ShortText,
    Value,
    WholeNumber,
)


class DeploymentEvent(events.Event):
    """The base of what happens to a deployment."""

    service: ClassVar[str] = "deployer"
    kind: ClassVar[str] = "deployment"

    deployment_id: Id
    user_id: Id


class HoldRequested(DeploymentEvent):
    """The ledger is asked to set credits aside for one CREATE build.

    The ledger alone decides what it costs: `list_price` is the module's price, `partner_id` who
    published the module (none for the platform's own). After `expires_at` it must be refused.
    """

    fact: ClassVar[str] = "hold_requested"

    hold_id: Id
    build_id: Id
    module_id: Id
    module_name: ShortText
    module_version: Ordinal
    partner_id: Id | None
    project: ShortText | None
    list_price: Amount
    premium: bool
    requested_at: Instant
    expires_at: Instant


class DeploymentQueued(DeploymentEvent):
    """The credits are held, and a CREATE build waits for a runner.

    Where a deployment is tried again, this comes again, with another build and another hold.
    """

    fact: ClassVar[str] = "deployment_queued"

    build_id: Id
    action: BuildAction
    hold_id: Id
    module_id: Id
    module_name: ShortText
    module_version: Ordinal
    partner_id: Id | None
    project: ShortText | None
    variables: Ciphertext
    credit_cost: Amount
    awarded_part: Amount
    purchased_part: Amount
    created_at: Instant


class DeploymentRefused(DeploymentEvent):
    """A deployment does not come to be; no credits are held for it."""

    fact: ClassVar[str] = "deployment_refused"

    code: Id
    detail: ShortText
    required: Amount | None = None
    available: WholeNumber | None = None
    errors: tuple[events.Problem, ...] = ()


class BuildEvent(DeploymentEvent):
    """The base of what happens to a build."""

    build_id: Id
    action: BuildAction


class DeploymentProvisioning(BuildEvent):
    """A runner took the build; `attempt` is the epoch that fences it."""

    fact: ClassVar[str] = "deployment_provisioning"

    attempt: Ordinal
    executor: ShortText


class DeploymentUpdating(BuildEvent):
    """An UPDATE build waits for a runner. It costs nothing.

    The deployment has this version and these variables from when the build succeeds, or has
    changed the state.
    """

    fact: ClassVar[str] = "deployment_updating"

    module_id: Id
    module_name: ShortText
    module_version: Ordinal
    variables: Ciphertext


class DeploymentDestroying(BuildEvent):
    """A DESTROY build waits for a runner. It costs nothing, and gives nothing back."""

    fact: ClassVar[str] = "deployment_destroying"


class DeploymentSucceeded(BuildEvent):
    """The build ended well. `outputs` is an encrypted object: name → {value, type, sensitive}.

    A module without resources leaves a deployment that owns none.
    """

    fact: ClassVar[str] = "deployment_succeeded"

    hold_id: Id | None
    outputs: Ciphertext
    owns_resources: bool = True


class DeploymentDestroyed(BuildEvent):
    """The state is empty: all that the deployment owned is gone."""

    fact: ClassVar[str] = "deployment_destroyed"


class DeploymentErased(DeploymentEvent):
    """The retention time is over: drop all that is kept of the deployment, but for counts.

    The key to its variables and outputs is destroyed. Of the ledger nothing is erased.
    """

    fact: ClassVar[str] = "deployment_erased"


class BuildError(Value):
    """Why a build ended badly; `platform_fault` is true where the module is not to blame."""

    code: Id
    message: LongText
    platform_fault: bool


class UnsuccessfulEvent(BuildEvent):
    """The base of a build's end that is no success.

    `owns_resources` tells that the state is not empty, `state_changed` that this build changed it.
    `deployment_status` is what the deployment is from now on where that is not what the message is
    called: a live one whose update or destroy failed is still `SUCCESS`.
    """

    hold_id: Id | None
    owns_resources: bool
    state_changed: bool = False
    deployment_status: DeploymentStatus | None = None


class DeploymentFailed(UnsuccessfulEvent):
    """The build ended badly."""

    fact: ClassVar[str] = "deployment_failed"

    error: BuildError


class DeploymentCancelled(UnsuccessfulEvent):
    """The build was cancelled, while it waited or while it ran."""

    fact: ClassVar[str] = "deployment_cancelled"

    cancelled_by: Id


class DeploymentTimedOut(UnsuccessfulEvent):
    """The build took longer than it may."""

    fact: ClassVar[str] = "deployment_timed_out"

    limit_seconds: Ordinal


class RequestRefused(events.RequestRefused):
    """The deployer does not carry out a request."""

    service: ClassVar[str] = "deployer"
