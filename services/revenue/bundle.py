"""A statement with all that it follows from, in a folder: anybody can compute it again from that.

`facts.jsonl` has the stored facts, from the first of each stream on, with their hashes: the
payee's lines, the revenue that they are shares of, disputes, earlier statements, and the
statement. `rules.json` says how one follows from the other; `manifest.json` has the digests of
both, and a signature. docs/statements.md tells the format.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from runtime.segments.manifest import canonical, file_digest
from runtime.segments.reader import snapshot
from runtime.signing import PublicKeys, SigningKey
from runtime.store import canonical_values

FORMAT: Final = 1
FACTS_NAME: Final = "facts.jsonl"
RULES_NAME: Final = "rules.json"
MANIFEST_NAME: Final = "manifest.json"
KEYS_NAME: Final = "keys.json"
CHUNK_FACTS: Final = 2_000
_MODE: Final = 0o755
_FIELDS: Final = ("stream", "version", "id", "at", "body", "actor", "correlation_id")

RULES: Final[dict[str, Any]] = {
    "format": FORMAT,
    "slice": "only slices of lots of kind purchase earn: floor(lot_price_minor x end / lot_credits)"
    " - floor(lot_price_minor x start / lot_credits)",
    "line": "a revenue_recognized earns the sum of its slices; a revenue_reversed takes back theirs"
    " from the line that it reverses",
    "share": "share_minor = floor((remainder_before + true_revenue_minor x share_basis_points) /"
    " 10000), and remainder_after is what is left of it; remainder_before is the line before's"
    " remainder_after, 0 at first. The percentage stands in the hold, as it was when it was placed",
    "month": "a line belongs to the month that its recognized_at is in, UTC, the end not included",
    "statement": {
        "opening": "carried_forward of the payee's statement before, 0 without one",
        "accrued": "the month's shares that reverse nothing",
        "reversed": "the month's shares that reverse a line of the same month",
        "adjustments": "the month's shares that reverse a line of an earlier month",
        "balance": "opening + accrued + reversed + adjustments",
        "disputed": "all shares up to the month's end whose line, or the line that it reverses, was"
        " earned from a lot with a dispute that was open at the month's end; at least 0",
        "payable": "balance - disputed, at least 0",
        "carried_forward": "balance - payable",
    },
}

_FACTS: Final = """
    with lines as (
        select deployment_id, line, sequence from payee_lines
        where payee_id = $1 and recognized_at < $2),
    earned as (select deployment_id, max(line) as line from lines group by deployment_id),
    lots as (
        select distinct unnest(l.lots) as lot_id
        from revenue_lines l join earned using (deployment_id)),
    wanted as (
        select 'payee-' || $1 as stream, (select max(sequence) from lines) as version
        union all select 'revenue-' || deployment_id, line from earned
        union all select 'dispute-' || dispute_id, 2 from disputes join lots using (lot_id)
        union all select 'statement-' || statement_id, 1 from statements
                  where payee_id = $1 and period <= $3
        union all select 'month-' || $3, 2)
    select f.stream, f.version, f.id, f.at, f.body, f.actor, f.correlation_id, f.causation_id,
           f.previous_hash, f.hash
    from wanted w join facts f on f.stream = w.stream and f.version <= w.version
    order by f.stream collate "C", f.version"""


class BundleError(Exception):
    """A bundle cannot be made, or is none; the message says why."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    statement_id: str
    facts: int
    key_id: str


async def export(
    dsn: str, statement_id: str, key: SigningKey, keys: PublicKeys, folder: Path
) -> Exported:
    """Write a statement's bundle to a new or empty folder; the manifest comes last."""
    await asyncio.to_thread(_prepare, folder)
    async with snapshot(dsn) as connection:
        row = await connection.fetchrow(
            "select payee_id, period from statements where statement_id = $1", statement_id
        )
        if row is None:
            raise BundleError(f"there is no statement {statement_id}")
        until = await connection.fetchval(
            "select (body::json ->> 'until')::timestamptz from facts where stream = $1",
            f"statement-{statement_id}",
        )
        facts = await _write_facts(connection, folder, row["payee_id"], until, row["period"])
    await asyncio.to_thread(_finish, folder, statement_id, facts, key, keys)
    return Exported(statement_id, facts, key.key_id)


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BundleError(f"{folder} is not empty")


async def _write_facts(
    connection: asyncpg.Connection, folder: Path, payee_id: str, until: datetime, period: str
) -> int:
    count = 0
    with (folder / FACTS_NAME).open("wb") as file:
        cursor = await connection.cursor(_FACTS, payee_id, until, period)
        while rows := await cursor.fetch(CHUNK_FACTS):
            await asyncio.to_thread(file.writelines, [_line(row) for row in rows])
            count += len(rows)
    return count


def _line(row: asyncpg.Record) -> bytes:
    values = canonical_values(
        **{name: row[name] for name in _FIELDS}, causation_id=row["causation_id"]
    )
    hashes = (row["previous_hash"].hex(), row["hash"].hex())
    names = (*_FIELDS, "causation_id", "previous_hash", "hash")
    return canonical(dict(zip(names, (*values, *hashes), strict=True))) + b"\n"


def _finish(folder: Path, statement_id: str, facts: int, key: SigningKey, keys: PublicKeys) -> None:
    (folder / RULES_NAME).write_bytes(canonical(RULES) + b"\n")
    (folder / KEYS_NAME).write_text((keys | key.public).to_json() + "\n")
    manifest = {
        "format": FORMAT,
        "statement_id": statement_id,
        "facts": facts,
        "files": {name: file_digest(folder / name)[0] for name in (FACTS_NAME, RULES_NAME)},
        "key_id": key.key_id,
    }
    signature = key.sign(canonical(manifest)).hex()
    (folder / MANIFEST_NAME).write_bytes(canonical({**manifest, "signature": signature}) + b"\n")
