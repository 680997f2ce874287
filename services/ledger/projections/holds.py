"""Each hold and how it ended; the table itself refuses to settle a deployment twice."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.ledger import balances
from services.ledger.events import (
    Hold,
    HoldPlaced,
    HoldReleased,
    HoldSettled,
    SettlementRefunded,
)

_INSERT: Final = """
    insert into holds (hold_id, user_id, deployment_id, module_id, partner_id, agent_id, status,
                       cost, awarded, purchased, placed_at)
    select hold_id, user_id, deployment_id, module_id, partner_id, agent_id, 'PLACED', cost,
           awarded, purchased, placed_at
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::bigint[], $8::bigint[], $9::bigint[], $10::timestamptz[])
        as n (hold_id, user_id, deployment_id, module_id, partner_id, agent_id, cost, awarded,
              purchased, placed_at)
"""
_END: Final = """
    update holds h set status = n.status, ended_at = n.ended_at
    from unnest($1::text[], $2::text[], $3::timestamptz[]) as n (hold_id, status, ended_at)
    where h.hold_id = n.hold_id
"""
_REFUND: Final = """
    update holds h set refunded = n.refunded
    from unnest($1::text[], $2::bigint[]) as n (hold_id, refunded)
    where h.hold_id = n.hold_id
"""


class Holds:
    """One row for each hold that was placed."""

    name = "holds"
    tables = ("holds",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Enter what was placed, end what ended, then note what was refunded of it."""
        placed: list[tuple[object, ...]] = []
        ended: list[tuple[object, ...]] = []
        refunded: dict[str, int] = {}
        for change in changes:
            if not isinstance(change, Recorded):
                continue
            match change.fact:
                case HoldPlaced(hold=hold):
                    placed.append(_row(hold))
                case HoldSettled(hold=hold):
                    ended.append((hold.hold_id, "SETTLED", change.at))
                case HoldReleased(hold=hold):
                    ended.append((hold.hold_id, "RELEASED", change.at))
                case SettlementRefunded(hold=hold, refunded_total=total):
                    refunded[hold.hold_id] = total
                case _:
                    pass
        if placed:
            await connection.execute(_INSERT, *_columns(placed))
        if ended:
            await connection.execute(_END, *_columns(ended))
        if refunded:
            await connection.execute(_REFUND, list(refunded), list(refunded.values()))


def _row(hold: Hold) -> tuple[object, ...]:
    awarded, purchased = balances.parts(hold.slices)
    return (
        hold.hold_id,
        hold.user_id,
        hold.deployment_id,
        hold.module_id,
        hold.partner_id,
        hold.agent_id,
        hold.cost,
        awarded,
        purchased,
        hold.placed_at,
    )


def _columns(rows: list[tuple[object, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
