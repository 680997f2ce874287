"""What the others' messages mean to the deployer: the only place where one becomes a command."""

from typing import Any

from contracts.catalog.v1 import Definition
from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from contracts.variables import check_variables, effective_values
from runtime.sealing import DataKey, SealingError
from services.deployer.decider import Queue, Refuse, Request
from services.deployer.events import HoldRequested, Problem, Source
from services.deployer.knowledge import Module, ModuleVersion


def gate(
    request: gateway.DeploymentRequested,
    module: Module | None,
    version: ModuleVersion | None,
    key: DataKey | None,
) -> Request | Refuse:
    """Return the request as accepted, or refused by the first of these that applies.

    `UNKNOWN_MODULE` (also where the user may not know of it), `MODULE_WITHDRAWN`,
    `UNKNOWN_VERSION`, `UNREADABLE_VARIABLES`, `INVALID_VARIABLES` with every problem named.
    """
    if module is None or not module.visible_to(request.user_id):
        return _refuse(request, "UNKNOWN_MODULE", "there is no such module")
    if module.withdrawn:
        return _refuse(request, "MODULE_WITHDRAWN", "the module can no longer be deployed")
    if version is None:
        return _refuse(request, "UNKNOWN_VERSION", "the module has no such version")
    values = _values(request, key)
    if key is None or values is None:
        return _refuse(request, "UNREADABLE_VARIABLES", "the variables cannot be opened")
    definition = version.read()
    problems = check_variables(definition.variables, values)
    if problems:
        errors = tuple(
            Problem(pointer=problem.pointer, message=problem.message, code=problem.code)
            for problem in problems
        )
        return Refuse(
            user_id=request.user_id,
            code="INVALID_VARIABLES",
            detail=f"{len(errors)} of the variables are not as the module needs them",
            errors=errors,
        )
    given = key.encrypt_json(effective_values(definition.variables, values))
    return Request(accepted=_accepted(request, module, version, definition, given))


def _refuse(request: gateway.DeploymentRequested, code: str, detail: str) -> Refuse:
    return Refuse(user_id=request.user_id, code=code, detail=detail)


def _values(request: gateway.DeploymentRequested, key: DataKey | None) -> dict[str, Any] | None:
    if key is None:
        return None
    try:
        values = key.decrypt_json(request.variables)
    except (SealingError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _accepted(
    request: gateway.DeploymentRequested,
    module: Module,
    version: ModuleVersion,
    definition: Definition,
    terraform_variables: str,
) -> HoldRequested:
    return HoldRequested(
        user_id=request.user_id,
        build_id=f"build-{request.deployment_id}-1",
        hold_id=f"hold-{request.deployment_id}-1",
        module_id=module.module_id,
        module_name=definition.name,
        module_version=version.module_version,
        partner_id=module.partner_id,
        project=request.project,
        list_price=definition.credit_cost,
        premium=definition.require_credit_purchases,
        source=Source(
            archive_digest=version.archive_digest,
            archive_folder=version.archive_folder,
            repository=version.repository,
            commit=version.commit,
        ),
        variables=request.variables,
        terraform_variables=terraform_variables,
        sensitive=tuple(v.name for v in definition.variables if v.sensitive),
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
    )
