"""What the others' messages mean to the deployer: the only place where one becomes a command."""

from collections.abc import Mapping
from typing import Any, Final

from contracts.catalog.v1 import Definition
from contracts.events import PROBLEMS_MAX
from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from contracts.variables import MASK, check_variables, effective_values
from runtime.refusal import Refusal
from runtime.sealing import DataKey, SealingError
from services.deployer.commands import Queue, Refuse, Request, Update
from services.deployer.events import Action, Deployment, HoldRequested, Inputs, Problem, Source
from services.deployer.knowledge import Module, ModuleVersion

WITHDRAWN: Final = "the module can no longer be deployed"


def gate(
    request: gateway.DeploymentRequested,
    module: Module | None,
    version: ModuleVersion | None,
    key: DataKey | None,
) -> Request | Refuse:
    """Return the request as accepted, or refused by the first of these that applies.

    `UNKNOWN_MODULE` (also where the user may not know of it), `MODULE_WITHDRAWN`,
    `UNKNOWN_MODULE_VERSION`, `UNREADABLE_VARIABLES`, `INVALID_VARIABLES` with every problem named.
    """
    if module is None or not module.visible_to(request.user_id):
        return _turn_down(request.user_id, "UNKNOWN_MODULE", "there is no such module")
    if module.withdrawn:
        return _turn_down(request.user_id, "MODULE_WITHDRAWN", WITHDRAWN)
    if version is None:
        return _turn_down(
            request.user_id, "UNKNOWN_MODULE_VERSION", "the module has no such version"
        )
    values = _values(request.variables, key)
    if key is None or values is None:
        return _turn_down(request.user_id, "UNREADABLE_VARIABLES", "the variables cannot be opened")
    definition = version.read()
    errors = _problems(definition, values)
    if errors:
        return _invalid(request.user_id, errors)
    inputs = _inputs(version, definition, request.variables, values, key)
    return Request(accepted=_accepted(request, module, definition, inputs))


def update(
    request: gateway.DeploymentUpdateRequested,
    deployment: Deployment,
    module: Module | None,
    version: ModuleVersion | None,
    key: DataKey | None,
) -> Update | Refuse:
    """Return the update, its variables checked against the version that is asked for.

    Refused by the first of these that applies: `UNKNOWN_MODULE` (another than the deployment's, or
    another version of one that its owner may not know of any more), `MODULE_WITHDRAWN`,
    `UNKNOWN_MODULE_VERSION`, `UNREADABLE_VARIABLES`, `INVALID_VARIABLES`, which also is where a
    sensitive value would be kept by a version that shows it.
    """
    asked, made_of = deployment.request, deployment.inputs
    if asked is None or made_of is None:
        raise LookupError(f"{deployment.deployment_id} is updated and was never made")
    moves = request.module_version != made_of.module_version
    if (
        module is None
        or request.module_id != asked.module_id
        or (moves and not module.visible_to(asked.user_id))
    ):
        return _turn_down(asked.user_id, "UNKNOWN_MODULE", "there is no such module")
    if module.withdrawn:
        return _turn_down(asked.user_id, "MODULE_WITHDRAWN", WITHDRAWN)
    if version is None:
        return _turn_down(asked.user_id, "UNKNOWN_MODULE_VERSION", "the module has no such version")
    given, before = _values(request.variables, key), _values(made_of.variables, key)
    if key is None or given is None or before is None:
        return _turn_down(asked.user_id, "UNREADABLE_VARIABLES", "the variables cannot be opened")
    definition = version.read()
    values = merged(given, before, definition, made_of.sensitive)
    errors = _laid_open(given, before, definition, made_of.sensitive) + _problems(
        definition, values
    )
    if errors:
        return _invalid(asked.user_id, errors[:PROBLEMS_MAX])
    return Update(inputs=_inputs(version, definition, key.encrypt_json(values), values, key))


def merged(
    given: Mapping[str, Any],
    before: Mapping[str, Any],
    definition: Definition,
    were_sensitive: tuple[str, ...],
) -> dict[str, Any]:
    """Return the values that a deployment shall have.

    They are those that are given, whole. Only a sensitive value, which nobody is ever shown, stays
    as it is where it is left out, or where the mask that is shown in its place comes back. A
    variable that the version does not have any more is not kept.
    """
    names = {variable.name for variable in definition.variables}
    sensitive = {v.name for v in definition.variables if v.sensitive} | set(were_sensitive)
    kept = {
        name: value
        for name, value in before.items()
        if name in sensitive & names and given.get(name, MASK) == MASK
    }
    dropped = {name for name in sensitive - names if given.get(name) == MASK}
    return {name: value for name, value in given.items() if name not in dropped} | kept


def _laid_open(
    given: Mapping[str, Any],
    before: Mapping[str, Any],
    definition: Definition,
    were_sensitive: tuple[str, ...],
) -> tuple[Problem, ...]:
    """Return a problem for each value that nobody was shown, and everybody would be from now on.

    Its owner must say it anew, knowing that the version shows it.
    """
    shown = {variable.name for variable in definition.variables if not variable.sensitive}
    return tuple(
        Problem(
            pointer=f"/variables/{name}",
            message="was never shown, and would be from this version on: give it anew",
            code="NO_LONGER_SENSITIVE",
        )
        for name in were_sensitive
        if name in shown and name in before and given.get(name, MASK) == MASK
    )


def check_deployable(deployment: Deployment, module: Module | None, action: Action | None) -> None:
    """Refuse to make again what its owner could not deploy now; to destroy is always allowed."""
    if action in (None, "DESTROY"):
        return
    user_id = "" if deployment.request is None else deployment.request.user_id
    if module is None or (action == "CREATE" and not module.visible_to(user_id)):
        raise Refusal("UNKNOWN_MODULE", "there is no such module")
    if module.withdrawn:
        raise Refusal("MODULE_WITHDRAWN", WITHDRAWN)


def _turn_down(user_id: str, code: str, detail: str) -> Refuse:
    return Refuse(user_id=user_id, code=code, detail=detail)


def _values(ciphertext: str, key: DataKey | None) -> dict[str, Any] | None:
    if key is None:
        return None
    try:
        values = key.decrypt_json(ciphertext)
    except (SealingError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _problems(definition: Definition, values: Mapping[str, Any]) -> tuple[Problem, ...]:
    return tuple(
        Problem(pointer=problem.pointer, message=problem.message, code=problem.code)
        for problem in check_variables(definition.variables, values)
    )


def _invalid(user_id: str, errors: tuple[Problem, ...]) -> Refuse:
    detail = f"{len(errors)} of the variables are not as the module needs them"
    return Refuse(user_id=user_id, code="INVALID_VARIABLES", detail=detail, errors=errors)


def _inputs(
    version: ModuleVersion,
    definition: Definition,
    ciphertext: str,
    values: Mapping[str, Any],
    key: DataKey,
) -> Inputs:
    return Inputs(
        module_name=definition.name,
        module_version=version.module_version,
        source=Source(
            archive_digest=version.archive_digest,
            archive_folder=version.archive_folder,
            repository=version.repository,
            commit=version.commit,
        ),
        variables=ciphertext,
        terraform_variables=key.encrypt_json(effective_values(definition.variables, values)),
        sensitive=tuple(v.name for v in definition.variables if v.sensitive),
    )


def _accepted(
    request: gateway.DeploymentRequested, module: Module, definition: Definition, inputs: Inputs
) -> HoldRequested:
    return HoldRequested(
        user_id=request.user_id,
        build_id=f"build-{request.deployment_id}-1",
        hold_id=f"hold-{request.deployment_id}-1",
        module_id=module.module_id,
        partner_id=module.partner_id,
        project=request.project,
        list_price=definition.credit_cost,
        premium=definition.require_credit_purchases,
        inputs=inputs,
        requested_at=request.requested_at,
        expires_at=request.expires_at,
    )


def queue(event: ledger.HoldPlaced) -> Queue:
    """Return the queueing of a build whose hold stands."""
    hold = event.hold
    return Queue(
        hold_id=hold.hold_id,
        credit_cost=hold.cost,
        awarded_part=hold.awarded_credits,
        purchased_part=hold.purchased_credits,
    )


def refusal(event: ledger.HoldRefused) -> Refuse:
    """Return the refusal of a deployment whose hold the wallet cannot bear."""
    details = {
        "INSUFFICIENT_TOTAL_CREDITS": "there are not enough credits",
        "INSUFFICIENT_PURCHASED_CREDITS": "this module takes purchased credits only",
        "HOLD_REQUEST_EXPIRED": "the request came too late to be carried out",
    }
    return Refuse(
        user_id=event.user_id,
        code=event.code,
        detail=details[event.code],
        required=event.required,
        available=event.available,
        hold_id=event.hold_id,
    )
