"""Histories as the rows of a segment: raw columns and typed ones, in memory."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pyarrow as pa

from runtime.ids import new_id
from runtime.store import GENESIS_HASH, FactRow, canonical_values, chain_hash
from services.ledger.columns import SCHEMA, typed_columns
from services.ledger.events import Fact
from tests.unit.ledger.book import OWNER, Book

RAW: Final = pa.schema(
    [
        pa.field("stream", pa.string(), nullable=False),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def body_of(fact: Fact, user_id: str) -> str:
    """Return a fact's body as if it had happened to this user; ids of holds become their own."""
    body = msgspec.json.encode(fact).decode().replace(f'"{OWNER}"', json.dumps(user_id))
    return body.replace('"hold_id":"', f'"hold_id":"{user_id}-')


def rows_of(books: Mapping[str, Book]) -> list[FactRow]:
    """Return the stored facts of wallets by user, chained, as a segment orders them."""
    rows: list[FactRow] = []
    for user_id in sorted(books, key=lambda user: f"wallet-{user}".encode()):
        previous = GENESIS_HASH
        book = books[user_id]
        for number, (fact, at) in enumerate(zip(book.facts, book.times, strict=True), 1):
            stored: dict[str, Any] = {
                "stream": f"wallet-{user_id}",
                "version": number,
                "id": new_id(),
                "at": at,
                "body": body_of(fact, user_id),
                "actor": "platform",
                "correlation_id": "c",
                "causation_id": None,
            }
            digest = chain_hash(canonical_values(**stored), previous)
            rows.append(FactRow(**stored, previous_hash=previous, hash=digest))
            previous = digest
    return rows


def table_of(rows: list[FactRow]) -> pa.Table:
    """Return the columns of stored facts that figures are computed from."""
    raw = {
        "stream": pa.array([row.stream for row in rows], pa.string()),
        "version": pa.array([row.version for row in rows], pa.int64()),
        "at": pa.array([row.at for row in rows], RAW.field("at").type),
    }
    return pa.table(raw | typed_columns(rows), schema=pa.schema([*RAW, *SCHEMA]))
