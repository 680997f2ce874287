"""Each wallet's balance, as its last fact says."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded

_UPSERT: Final = """
    insert into balances (user_id, version, awarded, purchased, awarded_held, purchased_held)
    select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                         $6::bigint[])
    on conflict (user_id) do update
        set version = excluded.version, awarded = excluded.awarded,
            purchased = excluded.purchased, awarded_held = excluded.awarded_held,
            purchased_held = excluded.purchased_held
        where balances.version < excluded.version
"""


class Balances:
    """One row for each wallet."""

    name = "balances"

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
    balance = record.fact.balance
    return (
        user_of(record),
        record.version,
        balance.awarded,
        balance.purchased,
        balance.awarded_held,
        balance.purchased_held,
    )
