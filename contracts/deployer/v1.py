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
    """The credits are held, and the build waits for a runner."""

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


class DeploymentSucceeded(BuildEvent):
    """The build ended well. `outputs` is an encrypted object: name → {value, type, sensitive}."""

    fact: ClassVar[str] = "deployment_succeeded"

    hold_id: Id | None
    outputs: Ciphertext


class BuildError(Value):
    """Why a build ended badly; `platform_fault` is true where the module is not to blame."""

    code: Id
    message: LongText
    platform_fault: bool


class DeploymentFailed(BuildEvent):
    """The build ended badly; `owns_resources` tells that the state is not empty."""

    fact: ClassVar[str] = "deployment_failed"

    hold_id: Id | None
    error: BuildError
    owns_resources: bool


class DeploymentCancelled(BuildEvent):
    """The build was cancelled, while it waited or while it ran."""

    fact: ClassVar[str] = "deployment_cancelled"

    hold_id: Id | None
    cancelled_by: Id
    owns_resources: bool


class DeploymentTimedOut(BuildEvent):
    """The build took longer than it may."""

    fact: ClassVar[str] = "deployment_timed_out"

    hold_id: Id | None
    limit_seconds: Ordinal
    owns_resources: bool


class RequestRefused(events.RequestRefused):
    """The deployer does not carry out a request."""

    service: ClassVar[str] = "deployer"
