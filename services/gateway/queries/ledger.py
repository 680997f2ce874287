"""The ledger's messages, and what verifications found."""

import json
from datetime import datetime
from typing import Any, Final

from runtime.connection import Connection
from services.gateway.queries.credits import WalletBalance

TOTALS_SECONDS_MAX: Final = 20.0
"""How long the totals of all wallets may take: every wallet's last line before an instant."""


async def list_events(
    connection: Connection, user_id: str | None, after: int, limit: int
) -> list[dict[str, Any]]:
    """Return messages in the order in which they came, after a position, at most so many.

    None is left out: those that a transaction still open may be about to precede come later.
    """
    rows = await connection.fetch(
        """select position, id, stream, sequence, type, user_id, at, correlation_id, causation_id,
                  fact_version, fact_hash, data
           from ledger_events
           where position > $2 and ($1::text is null or user_id = $1)
             and transaction_id < pg_snapshot_xmin(pg_current_snapshot())
           order by position limit $3""",
        user_id,
        after,
        limit,
    )
    return [{**dict(row), "data": json.loads(row["data"])} for row in rows]


async def position_of(connection: Connection, event_id: str) -> int | None:
    """Return where a message stands, if it is there."""
    position: int | None = await connection.fetchval(
        "select position from ledger_events where id = $1", event_id
    )
    return position


async def totals_as_of(connection: Connection, as_of: datetime) -> tuple[int, WalletBalance]:
    """Return how many wallets there were at an instant, that included, and what all owned."""
    row = await connection.fetchrow(
        """select count(*) as wallets,
                  coalesce(sum(awarded), 0)::bigint as awarded,
                  coalesce(sum(purchased), 0)::bigint as purchased,
                  coalesce(sum(awarded_held), 0)::bigint as awarded_held,
                  coalesce(sum(purchased_held), 0)::bigint as purchased_held,
                  coalesce(sum(awarded_frozen), 0)::bigint as awarded_frozen,
                  coalesce(sum(purchased_frozen), 0)::bigint as purchased_frozen,
                  coalesce(sum(debt), 0)::bigint as debt
           from (select distinct on (user_id) *
                 from credit_history where at <= $1
                 order by user_id, at desc, sequence desc) as last_lines""",
        as_of,
        timeout=TOTALS_SECONDS_MAX,
    )
    found = dict(row or {})
    return found.pop("wallets"), WalletBalance(**found, as_of=as_of)


async def verification_by_id(connection: Connection, request_id: str) -> dict[str, Any] | None:
    """Return what a verification found, if it is done."""
    row = await connection.fetchrow(
        """select events, head, segments, sealed, ok, first_bad, verified_at
           from ledger_verifications where request_id = $1""",
        request_id,
    )
    return None if row is None else {**dict(row), "first_bad": json.loads(row["first_bad"])}
