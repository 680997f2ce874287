"""A wallet at any instant, from the ledger's facts: balance, lots, open holds, and its history.

Snapshots make it faster and never different: what is folded from a snapshot is what is folded
from the first fact on. Nothing else reads them, so they may be dropped at any time.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import asyncpg
import msgspec

from runtime.connection import Connection
from services.ledger.events import Fact
from services.ledger.evolution import evolve
from services.ledger.wallet import Wallet

SNAPSHOT_FACTS: Final = 500
"""A wallet is kept at every 500 of its facts, and nowhere else: that bounds the table."""

CHUNK_FACTS: Final = 1_000
LINES_MAX: Final = 10_000
_DECODER: Final = msgspec.json.Decoder(Fact)


def _shape() -> str:
    """Return the form that wallets have in this release; kept ones of another are not read."""
    described = msgspec.json.encode(msgspec.json.schema(Wallet), order="sorted")
    return sha256(described).hexdigest()[:16]


SHAPE: Final = _shape()

_SNAPSHOT: Final = """
    select version, at, state from wallet_snapshots
    where stream = $1 and ($2::timestamptz is null or at <= $2) and shape = $3
    order by version desc limit 1
"""
_FACTS: Final = """
    select version, at, body from facts
    where stream = $1 and version > $2 and ($3::timestamptz is null or at <= $3)
    order by version
"""
_KEEP: Final = """
    insert into wallet_snapshots (stream, version, at, shape, state) values ($1, $2, $3, $4, $5)
    on conflict do nothing
"""
_HISTORY: Final = """
    select version, at, type, credits, awarded, purchased, awarded_after, purchased_after,
           awarded_held_after, purchased_held_after, awarded_frozen_after, purchased_frozen_after,
           debt_after, deployment_id, reason
    from history
    where user_id = $1 and ($2::timestamptz is null or at <= $2)
      and ($3::bigint is null or version < $3)
    order by version desc limit $4
"""


@dataclass(frozen=True)
class WalletAt:
    """A wallet after the last of its facts up to an instant; version 0 where there is none."""

    user_id: str
    version: int
    at: datetime | None
    wallet: Wallet
    folded: int


async def wallet_at(
    connection: Connection,
    user_id: str,
    as_of: datetime | None = None,
    *,
    snapshots: bool = True,
    snapshot_facts: int = SNAPSHOT_FACTS,
) -> WalletAt:
    """Return a user's wallet after all that had happened by an instant, that included.

    `folded` tells how many facts it took. With `snapshots` it begins at the last one, and leaves
    those that it comes past for the next who asks.
    """
    stream = f"wallet-{user_id}"
    version, at, wallet = 0, None, Wallet()
    if snapshots:
        row = await connection.fetchrow(_SNAPSHOT, stream, as_of, SHAPE)
        if row is not None:
            version, at = row["version"], row["at"]
            wallet = msgspec.msgpack.decode(row["state"], type=Wallet)
    folded = 0
    kept: list[tuple[str, int, datetime, str, bytes]] = []
    async with connection.transaction(readonly=True):
        cursor = await connection.cursor(_FACTS, stream, version, as_of)
        while rows := await cursor.fetch(CHUNK_FACTS):
            for row in rows:
                wallet = evolve(wallet, _DECODER.decode(row["body"]))
                if snapshots and row["version"] % snapshot_facts == 0:
                    state = msgspec.msgpack.encode(wallet)
                    kept.append((stream, row["version"], row["at"], SHAPE, state))
            version, at = rows[-1]["version"], rows[-1]["at"]
            folded += len(rows)
    if kept:
        await connection.executemany(_KEEP, kept)
    return WalletAt(user_id, version, at, wallet, folded)


async def history_at(
    connection: asyncpg.Connection,
    user_id: str,
    as_of: datetime | None = None,
    *,
    before_version: int | None = None,
    limit: int = LINES_MAX,
) -> list[dict[str, Any]]:
    """Return a wallet's movements up to an instant, the newest first, each with what it left."""
    rows = await connection.fetch(_HISTORY, user_id, as_of, before_version, min(limit, LINES_MAX))
    return [dict(row) for row in rows]
