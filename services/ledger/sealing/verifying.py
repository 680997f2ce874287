"""Verifications that somebody asked for: noted when asked, done beside the work, then answered."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec
import structlog

from contracts.gateway.v1 import LedgerVerificationRequested
from contracts.ledger import v1
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.segments.child import run_child
from runtime.work import Command, DocumentKey, Needs, Work
from services.ledger.lots import PLATFORM

COLLECTION: Final = "verifications"
LOOK_SECONDS: Final = 0.2
BUSY_SECONDS: Final = 2.0
"""Another replica is verifying; a request that came after it began waits for its end."""
RETRY_SECONDS: Final = 30.0
ANSWERED_MAX: Final = 100
"""How many requests one verification answers at most; the rest is answered by the next."""
TEXT_LENGTH_MAX: Final = 500
_LOCK: Final = "tollgate.verify"


class Wanted(msgspec.Struct, frozen=True):
    """A verification that was asked for and is not answered."""

    request_id: str
    expires_at: datetime


class Found(msgspec.Struct, frozen=True):
    """What a verification found, as the other process tells it."""

    events: int
    head: str
    segments: int
    sealed: int
    place: str | None = None
    stream: str | None = None
    version: int | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class AnswerVerification(Command):
    """Tell what was found, or that it could not be found in time."""

    request_id: str
    found: Found | None


def _key(request_id: str) -> DocumentKey:
    return (COLLECTION, request_id)


def note_verification(request: LedgerVerificationRequested, work: Work) -> None:
    """Keep a request until it is answered."""
    work.put(*_key(request.request_id), Wanted(request.request_id, request.expires_at))


def needs_of_answer(command: AnswerVerification) -> Needs:
    """Return the stream of the answer, so that only one replica gives it."""
    return Needs(
        streams=(f"verification-{command.request_id}",), documents=(_key(command.request_id),)
    )


def answer_verification(command: AnswerVerification, work: Work) -> None:
    """Answer a request once."""
    if work.document(*_key(command.request_id), Wanted) is None:
        return
    work.delete(*_key(command.request_id))
    found = command.found
    if found is None:
        refused = v1.RequestRefused(
            request_id=command.request_id,
            code="REQUEST_EXPIRED",
            detail="the ledger could not be verified in time",
            details={},
        )
        work.publish(f"refusal-{command.request_id}", refused)
        return
    work.publish(
        f"verification-{command.request_id}",
        v1.LedgerVerified(
            request_id=command.request_id,
            events=found.events,
            head=f"sha256:{found.head}",
            segments=found.segments,
            sealed=found.sealed,
            ok=found.problem is None,
            first_bad=_misfit(found),
            verified_at=work.now,
        ),
    )


def _misfit(found: Found) -> v1.Misfit | None:
    if found.problem is None:
        return None
    return v1.Misfit(
        place=(found.place or "facts")[:TEXT_LENGTH_MAX],
        stream=None if found.stream is None else found.stream[:TEXT_LENGTH_MAX],
        version=found.version,
        problem=found.problem[:TEXT_LENGTH_MAX],
    )


async def verify_on_request(running: Running) -> None:
    """Look for requests a few times a second, verify once for all of them, and answer; for ever."""
    beat = running.liveness.beat("verifying")
    while True:
        beat()
        wait = LOOK_SECONDS
        try:
            wanted = await _wanted(running.pool)
            if wanted:
                wait = await _answer(running, wanted)
        except (*OUTAGES, UnavailableError) as error:
            structlog.get_logger().warning("verification.postponed", error=repr(error))
        await asyncio.sleep(wait)


async def _wanted(pool: asyncpg.Pool) -> list[Wanted]:
    rows = await pool.fetch(
        "select body from documents where collection = $1 order by key limit $2",
        COLLECTION,
        ANSWERED_MAX,
    )
    return [msgspec.msgpack.decode(row["body"], type=Wanted) for row in rows]


async def _answer(running: Running, wanted: list[Wanted]) -> float:
    """Verify and answer; return when to look again. One process does it at a time."""
    connection = await asyncpg.connect(running.settings.postgres_dsn.get_secret_value(), timeout=5)
    try:
        if not await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", _LOCK):
            return BUSY_SECONDS
        ended = await run_child("ledger", "verify", beat=running.liveness.beat("verifying"))
    finally:
        await connection.close()
    found = None
    if ended.status == 0:
        found = msgspec.json.decode(ended.output, type=Found)
    else:
        structlog.get_logger().error("verification.failed", reason=ended.errors)
    late = running.clock.now() + timedelta(seconds=RETRY_SECONDS)
    for each in wanted:
        if found is not None or each.expires_at <= late:
            await running.processor.execute(
                AnswerVerification(
                    actor=PLATFORM,
                    correlation_id=each.request_id,
                    request_id=each.request_id,
                    found=found,
                )
            )
    return RETRY_SECONDS if found is None else LOOK_SECONDS
