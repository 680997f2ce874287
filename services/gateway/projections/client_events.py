"""What clients are told live: one row for each thing that somebody may see.

Positions must become visible in their order. They are given under one lock, which is taken here,
last of all projections, and held until the commit a few statements later. That is cheap: it is
held once for a batch, and by nobody who decides anything.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import asyncpg

from contracts.catalog.v1 import (
    ModuleFeatured,
    ModulePublished,
    ModuleRated,
    ModuleUnfeatured,
    ModuleUpdated,
    ModuleWithdrawn,
    SyncFinished,
)
from contracts.deployer.v1 import BuildEvent, DeploymentEvent, DeploymentFailed, DeploymentQueued
from contracts.envelope import Envelope
from contracts.ledger.v1 import HoldRefused, WalletEvent
from contracts.revenue.v1 import (
    PayeeLine,
    RevenueLine,
    RevenueRecognized,
    RevenueReversed,
    ShareAccrued,
    ShareReversed,
    WebhookAttemptFailed,
    WebhookDelivered,
    WebhookEndpointDisabled,
)
from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.events import (
    SyncAsked,
    UserDeactivated,
    UserReactivated,
    UserRolesChanged,
)
from services.gateway.projections.deployments import ENDS, build_status_of, status_of
from services.gateway.projections.statements import id_in
from services.gateway.projections.webhooks import delivery_status
from services.gateway.stars import average
from services.gateway.times import rfc_3339

# A position is given as a row is written: after the lock, of which there is one row.
_INSERT: Final = """
    with alone as materialized (
        select pg_advisory_xact_lock(hashtext('tollgate.client_events')))
    insert into client_events (kind, user_id, roles, everyone, data)
    select kind, user_id, string_to_array(roles, ' '), everyone, data
    from alone,
         unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[])
         with ordinality as told (kind, user_id, roles, everyone, data, place)
    order by place"""

PRINCIPAL: Final = "principal"
"""A kind that no client is told: somebody's roles changed, so what they may see has."""

_DEPLOYMENTS_SEEN_BY: Final = ("admin", "finance", "support")
_CREDITS_SEEN_BY: Final = ("admin", "finance")


@dataclass(frozen=True)
class ClientEvent:
    """What is told, and who may see it: one user, everybody with a role, or everyone.

    With `module_id` whoever may see that module, which only the table of modules knows.
    """

    kind: str
    data: dict[str, Any]
    user_id: str | None = None
    roles: tuple[str, ...] = ()
    everyone: bool = False
    module_id: str | None = None


class ClientEvents:
    """Keeps what clients are told live."""

    name = "client_events"
    tables: tuple[str, ...] = ()

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Add what the batch brings that somebody may see."""
        told = [each for change in changes for each in client_events(change)]
        if not told:
            return
        told = await _addressed(connection, told)
        await connection.execute(
            _INSERT,
            [each.kind for each in told],
            [each.user_id for each in told],
            [" ".join(each.roles) for each in told],
            [each.everyone for each in told],
            [json.dumps(each.data, ensure_ascii=False) for each in told],
        )


async def _addressed(connection: asyncpg.Connection, told: list[ClientEvent]) -> list[ClientEvent]:
    """Return the events with those who may see a module in the place of the module."""
    module_ids = [each.module_id for each in told if each.module_id is not None]
    if not module_ids:
        return told
    rows = await connection.fetch(
        """select module_id, partner_id, source = 'admin' or public_access as everyone
           from modules where module_id = any ($1::text[])""",
        module_ids,
    )
    seen_by = {row["module_id"]: (row["partner_id"], row["everyone"]) for row in rows}
    addressed = []
    for each in told:
        if each.module_id is not None:
            user_id, everyone = seen_by.get(each.module_id, (None, False))
            addressed.append(replace(each, user_id=user_id, everyone=everyone))
        else:
            addressed.append(each)
    return addressed


def client_events(change: Change) -> Iterator[ClientEvent]:
    """Return what clients are told of a change."""
    if isinstance(change, Recorded):
        yield from _own(change)
        return
    match change.data:
        case DeploymentEvent() as event:
            yield from _deployment(change, event)
        case HoldRefused():
            return
        case WalletEvent() as event:
            yield _balance(change, event)
        case ModulePublished() as event:
            yield _module(change, event)
        case ModuleWithdrawn(module_id=module_id, withdrawn_at=at):
            data = {"id": module_id, "change": "WITHDRAWN", "at": rfc_3339(at)}
            yield ClientEvent("module", data, module_id=module_id)
        case ModuleRated() as event:
            rated: dict[str, Any] = {
                "id": event.module_id,
                "change": "RATED",
                "rating": {
                    "average": average(event.rating_sum, event.rating_count),
                    "count": event.rating_count,
                },
                "at": rfc_3339(event.rated_at),
            }
            yield ClientEvent("module", rated, module_id=event.module_id)
        case ModuleFeatured(module_id=module_id) | ModuleUnfeatured(module_id=module_id):
            told = "FEATURED" if isinstance(change.data, ModuleFeatured) else "UNFEATURED"
            data = {"id": module_id, "change": told, "at": rfc_3339(change.time)}
            yield ClientEvent("module", data, module_id=module_id)
        case SyncFinished() as event:
            data = {"id": event.sync_id, "scope": event.scope, "status": event.status}
            yield _sync(data, event.partner_id)
        case RevenueRecognized() | RevenueReversed() as event:
            yield _line(event)
        case ShareAccrued() | ShareReversed() as event:
            yield _share(change, event)
        case WebhookEndpointDisabled() as event:
            data = {
                "id": event.webhook_id,
                "status": "DISABLED",
                "reason": event.reason.upper(),
                "at": rfc_3339(event.disabled_at),
            }
            yield ClientEvent("webhook", data, user_id=event.owner_id)
        case WebhookDelivered() | WebhookAttemptFailed() as event:
            data = {
                "id": event.webhook_id,
                "delivery_id": event.delivery_id,
                "delivery_status": delivery_status(event),
                "at": rfc_3339(event.attempted_at),
            }
            yield ClientEvent("webhook", data, user_id=event.owner_id)
        case _:
            return


def _own(change: Recorded[Any]) -> Iterator[ClientEvent]:
    match change.fact:
        case UserRolesChanged() | UserDeactivated() | UserReactivated():
            user_id = id_in(change.stream)
            yield ClientEvent(PRINCIPAL, {"user_id": user_id}, user_id=user_id)
        case SyncAsked() as fact:
            data = {"id": fact.sync_id, "scope": fact.scope, "status": "RUNNING"}
            yield _sync(data, fact.partner_id)
        case _:
            return


def _deployment(change: Envelope[DeploymentEvent], event: DeploymentEvent) -> Iterator[ClientEvent]:
    status = status_of(event)
    if status is None:
        return
    data: dict[str, Any] = {
        "id": event.deployment_id,
        "status": status,
        "user_id": event.user_id,
        "at": rfc_3339(change.time),
        "sequence": change.sequence,
    }
    if isinstance(event, DeploymentQueued | BuildEvent):
        data |= {"build_id": event.build_id, "action": event.action}
    if isinstance(event, DeploymentQueued):
        data |= {"module_id": event.module_id, "module_name": event.module_name}
    if isinstance(event, DeploymentFailed):
        data |= {"error": event.error.model_dump()}
    if isinstance(event, ENDS):
        data |= {"build_status": build_status_of(event)}
    yield ClientEvent("deployment", data, user_id=event.user_id, roles=_DEPLOYMENTS_SEEN_BY)


def _balance(change: Envelope[WalletEvent], event: WalletEvent) -> ClientEvent:
    balance = event.balance
    held = balance.awarded_held + balance.purchased_held
    frozen = balance.awarded_frozen + balance.purchased_frozen
    total = balance.awarded + balance.purchased
    data = {
        "user_id": event.user_id,
        "awarded": balance.awarded,
        "purchased": balance.purchased,
        "total": total,
        "held": held,
        "frozen": frozen,
        "debt": balance.debt,
        "available": total - held - frozen,
        "available_purchased": balance.purchased
        - balance.purchased_held
        - balance.purchased_frozen,
        "as_of": rfc_3339(change.time),
        "sequence": change.sequence,
    }
    return ClientEvent("balance", data, user_id=event.user_id, roles=_CREDITS_SEEN_BY)


def _module(change: Envelope[Any], event: ModulePublished) -> ClientEvent:
    data = {
        "id": event.module_id,
        "change": "UPDATED" if isinstance(event, ModuleUpdated) else "PUBLISHED",
        "version": event.module_version,
        "name": event.definition.name,
        "title": event.definition.title,
        "credit_cost": event.definition.credit_cost,
        "at": rfc_3339(change.time),
    }
    public = event.source == "admin" or event.definition.public_access
    return ClientEvent("module", data, user_id=event.partner_id, everyone=public)


def _sync(data: dict[str, Any], partner_id: str | None) -> ClientEvent:
    return ClientEvent("sync", data, user_id=partner_id, roles=("admin",))


def _line(event: RevenueLine) -> ClientEvent:
    data = {
        "deployment_id": event.deployment_id,
        "line": event.line,
        "module_id": event.module_id,
        "recognized_at": rfc_3339(event.recognized_at),
        "true_revenue": event.true_revenue.model_dump(),
    }
    return ClientEvent("revenue", data, roles=_CREDITS_SEEN_BY)


def _share(change: Envelope[PayeeLine], event: PayeeLine) -> ClientEvent:
    data = {
        "deployment_id": event.deployment_id,
        "line": event.line,
        "module_id": event.module_id,
        "recognized_at": rfc_3339(event.recognized_at),
        "true_revenue": event.true_revenue.model_dump(),
        "payee_id": event.payee_id,
        "share": event.share.model_dump(),
        "running_total": event.running_total.model_dump(),
        "sequence": change.sequence,
    }
    return ClientEvent("revenue", data, user_id=event.payee_id, roles=_CREDITS_SEEN_BY)
