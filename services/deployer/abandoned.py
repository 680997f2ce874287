"""What becomes of deployments whose last facts are lost: see `runtime.restored`.

The deployer's database was restored from a backup, and somebody accepted that what came after it
is lost: inputs, keys, Terraform's states. A build that was open then, or is open in the backup, is
never run again: it fails, so that its credits are given back where they are still on hold.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.deployer.events import Action, BuildFailed, Deployment, Status

CODE: Final = "RECORD_LOST"
MESSAGE: Final = (
    "The record of this build was lost when a backup was restored. What it made, if anything, is "
    "known to nobody here: look for it where it was made."
)
_OPEN: Final = frozenset(
    {
        *("hold_requested", "deployment_queued", "deployment_provisioning"),
        *("deployment_updating", "deployment_destroying"),
    }
)
_OPEN_HERE: Final[frozenset[Status]] = frozenset(
    {"REQUESTED", "QUEUED", "PROVISIONING", "UPDATING", "DESTROYING"}
)


def abandon(
    deployment: Deployment, told: Sequence[tuple[str, Mapping[str, Any]]]
) -> BuildFailed | None:
    """Return what ends a deployment's open build; nothing where none is open anywhere.

    `told` are the lost messages' names and data, the oldest first. A build that is open here may
    have ended since the backup: then its hold has ended as well, and this end names none.
    """
    is_open = told[-1][0] in _OPEN
    if not is_open and deployment.status not in _OPEN_HERE:
        return None
    values = [data for _, data in told]
    build, request = deployment.build, deployment.request
    build_id = _last(values, "build_id") or ("" if build is None else build.build_id)
    action: Action = _last(values, "action") or ("CREATE" if build is None else build.action)
    hold_id = None
    if is_open and action == "CREATE":
        hold_id = _last(values, "hold_id") or (None if request is None else request.hold_id)
    started = deployment.status in ("PROVISIONING", "UPDATING", "DESTROYING")
    return BuildFailed(
        build_id=build_id,
        action=action,
        user_id=_last(values, "user_id"),
        hold_id=hold_id,
        attempt=0 if build is None else build.attempt,
        owns_resources=deployment.owns_resources or started,
        state_changed=False,
        status="FAILED" if action == "CREATE" else deployment.resting,
        code=CODE,
        message=MESSAGE,
        platform_fault=True,
    )


def _last(values: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Return what was said last under a name."""
    return next((each[name] for each in reversed(values) if each.get(name) is not None), None)
