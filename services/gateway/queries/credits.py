"""Balances, lots, and history."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from runtime.connection import Connection
from services.gateway.queries.csv_cells import DOWNLOAD_SECONDS_MAX, Take, cell, instant


@dataclass(frozen=True)
class WalletBalance:
    """What a wallet owned, and what of it was held or frozen, at an instant.

    Purchased credits are net of `debt`.
    """

    awarded: int
    purchased: int
    awarded_held: int
    purchased_held: int
    as_of: datetime
    awarded_frozen: int = 0
    purchased_frozen: int = 0
    debt: int = 0

    @property
    def available_awarded(self) -> int:
        """The awarded credits that are free to spend."""
        return self.awarded - self.awarded_held - self.awarded_frozen

    @property
    def available_purchased(self) -> int:
        """The purchased credits that are free to spend."""
        return self.purchased - self.purchased_held - self.purchased_frozen


async def balance_of(connection: Connection, user_id: str, now: datetime) -> WalletBalance:
    """Return a wallet's balance now; that of an empty one where there is none."""
    row = await connection.fetchrow(
        """select awarded, purchased, awarded_held, purchased_held, awarded_frozen,
                  purchased_frozen, debt
           from wallets
           where user_id = $1""",
        user_id,
    )
    return WalletBalance(0, 0, 0, 0, now) if row is None else _balance(row, now)


async def balance_as_of(connection: Connection, user_id: str, as_of: datetime) -> WalletBalance:
    """Return a wallet's balance after all that had happened by an instant, that included."""
    row = await connection.fetchrow(
        """select awarded, purchased, awarded_held, purchased_held, awarded_frozen,
                  purchased_frozen, debt
           from credit_history
           where user_id = $1 and at <= $2 order by at desc, sequence desc limit 1""",
        user_id,
        as_of,
    )
    return WalletBalance(0, 0, 0, 0, as_of) if row is None else _balance(row, as_of)


def _balance(row: asyncpg.Record, as_of: datetime) -> WalletBalance:
    return WalletBalance(
        awarded=row["awarded"],
        purchased=row["purchased"],
        awarded_held=row["awarded_held"],
        purchased_held=row["purchased_held"],
        as_of=as_of,
        awarded_frozen=row["awarded_frozen"],
        purchased_frozen=row["purchased_frozen"],
        debt=row["debt"],
    )


_LOT = """
    select lot_id as id, user_id, kind, credits, remaining, held, expired, price_minor, currency,
           source, reason, granted_by, granted_at, expires_at, voided, disputes_open, bonus_of
    from lots"""


async def list_lots(
    connection: Connection,
    user_id: str,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a wallet's lots, the newest first."""
    rows = await connection.fetch(
        f"""{_LOT} where user_id = $1
          and ($2::timestamptz is null or (granted_at, lot_id) < ($2, $3))
        order by granted_at desc, lot_id desc limit $4""",
        user_id,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def list_expiring_lots(
    connection: Connection,
    user_id: str,
    before: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return lots with spendable credits that will be gone before then, what goes first first."""
    rows = await connection.fetch(
        f"""{_LOT} where user_id = $1 and remaining > held and disputes_open = 0 and expires_at < $2
          and ($3::timestamptz is null or (expires_at, lot_id) > ($3, $4))
        order by expires_at, lot_id limit $5""",
        user_id,
        before,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def lot_by_id(connection: Connection, lot_id: str) -> dict[str, Any] | None:
    """Return a lot, or nothing."""
    row = await connection.fetchrow(f"{_LOT} where lot_id = $1", lot_id)
    return None if row is None else dict(row)


_LINE = """
    select id, at, type, credits, awarded_delta, purchased_delta,
           awarded + purchased as balance_after, deployment_id, lot_id, reason, sequence
    from credit_history"""


async def list_history(
    connection: Connection,
    user_id: str,
    *,
    kind: str | None,
    begin: datetime | None,
    end: datetime | None,
    before_sequence: int | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return lines of a wallet's history, the newest first, from `begin` to before `end`."""
    rows = await connection.fetch(
        f"""{_LINE} where user_id = $1
          and ($2::text is null or type = $2)
          and ($3::timestamptz is null or at >= $3)
          and ($4::timestamptz is null or at < $4)
          and ($5::bigint is null or sequence < $5)
        order by sequence desc limit $6""",
        user_id,
        kind,
        begin,
        end,
        before_sequence,
        limit,
    )
    return [dict(row) for row in rows]


async def copy_history(
    connection: Connection,
    user_id: str,
    take: Take,
    *,
    kind: str | None,
    begin: datetime | None,
    end: datetime | None,
) -> None:
    """Hand over lines of a wallet's history as CSV, in pieces, the oldest first."""
    await connection.copy_from_query(
        f"""select id, {instant("at")} as at, type, credits, awarded_delta, purchased_delta,
                   awarded + purchased as balance_after, deployment_id, lot_id,
                   {cell("reason")} as reason
        from credit_history
        where user_id = $1
          and ($2::text is null or type = $2)
          and ($3::timestamptz is null or at >= $3)
          and ($4::timestamptz is null or at < $4)
        order by sequence""",  # noqa: S608 - only our own constants are put together
        user_id,
        kind,
        begin,
        end,
        output=take,
        format="csv",
        header=True,
        timeout=DOWNLOAD_SECONDS_MAX,
    )


async def line_by_id(connection: Connection, line_id: str) -> dict[str, Any] | None:
    """Return one line of somebody's history, or nothing."""
    row = await connection.fetchrow(f"{_LINE} where id = $1", line_id)
    return None if row is None else dict(row)
