"""Each wallet's balance, as its last fact says."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.ledger.events import Balance

_UPSERT: Final = """
    insert into balances (user_id, version, awarded, purchased, awarded_held, purchased_held,
                          awarded_frozen, purchased_frozen, debt)
    select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                         $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
    on conflict (user_id) do update
        set version = excluded.version, awarded = excluded.awarded,
            purchased = excluded.purchased, awarded_held = excluded.awarded_held,
            purchased_held = excluded.purchased_held, awarded_frozen = excluded.awarded_frozen,
            purchased_frozen = excluded.purchased_frozen, debt = excluded.debt
        where balances.version < excluded.version
"""


class Balances:
    """One row for each wallet."""

    name = "balances"
    tables = ("balances",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Write the balance after the last fact of each wallet that was touched."""
        last = {change.stream: change for change in changes if isinstance(change, Recorded)}
        if last:
            rows = [_row(record) for record in last.values()]
            await connection.execute(_UPSERT, *map(list, zip(*rows, strict=True)))


def user_of(record: Recorded[Any]) -> str:
    """Return whose wallet a fact is in."""
    return record.stream.partition("-")[2]


def _row(record: Recorded[Any]) -> tuple[object, ...]:
    return (user_of(record), record.version, *figures(record.fact.balance))


def figures(balance: Balance) -> tuple[int, ...]:
    """Return a balance's figures in the order of the columns, here and in the history."""
    return (
        balance.awarded,
        balance.purchased,
        balance.awarded_held,
        balance.purchased_held,
        balance.awarded_frozen,
        balance.purchased_frozen,
        balance.debt,
    )
