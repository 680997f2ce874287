"""Closes months that somebody asked for: noted when asked, examined beside the work, then sealed.

To examine all that is stored takes as long as there is much, and is done by a process of its own.

What is examined cannot change under the hand: the ledger has attested that nothing is added to the
month, and revenue has applied all of it, or the month is not closed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import msgspec
import structlog

from contracts.events import Problem
from contracts.gateway.v1 import PeriodCloseRequested
from contracts.revenue.v1 import RequestRefused
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.segments.child import run_child
from runtime.work import Command, DocumentKey, Needs, Work
from services.revenue.month_facts import MonthState, Statement, StatementClosed
from services.revenue.months import (
    PAYEES_MAX,
    Examined,
    Reason,
    bounds,
    decide_close,
    reasons,
    statement_of,
)

COLLECTION: Final = "closings"
LOOK_SECONDS: Final = 0.2
BUSY_SECONDS: Final = 2.0
OUTAGE_SECONDS: Final = 2.0
TOLD_MAX: Final = 100
TEXT_LENGTH_MAX: Final = 500
RETRY_SECONDS: Final = 30.0
_LOCK: Final = "tollgate.close"

Examine = Callable[[str], Awaitable[Examined]]


class NotExaminedError(Exception):
    """A month could not be examined; the message says why."""


class Wanted(msgspec.Struct, frozen=True):
    """A month that somebody wants closed."""

    request_id: str
    period: str
    requested_by: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class CloseMonth(Command):
    """Close a month if nothing stands in the way, and answer the request.

    What has expired needs no examination.
    """

    wanted: Wanted
    examined: Examined | None


def month_stream(period: str) -> str:
    """Return the name of a month's stream."""
    return f"month-{period}"


def statement_stream(statement_id: str) -> str:
    """Return the name of a statement's stream."""
    return f"statement-{statement_id}"


def note(request: PeriodCloseRequested, work: Work) -> None:
    """Keep a request until it is answered; what is no month of any calendar is refused at once."""
    wanted = Wanted(request.request_id, request.period, request.requested_by, request.expires_at)
    try:
        bounds(request.period)
    except (ValueError, OverflowError):
        reason = Reason("NOT_ATTESTED", "there is no such month")
        work.publish(f"refusal-{request.request_id}", _refusal(wanted, [reason]))
        return
    work.put(COLLECTION, request.request_id, wanted)


def needs_of_close(command: CloseMonth) -> Needs:
    """Return the month's stream, and that of each statement, where there are not too many."""
    statements = [] if command.examined is None else _statements(command.examined)
    streams = (statement_stream(each.statement_id) for each in statements[:PAYEES_MAX])
    return Needs(
        streams=(month_stream(command.wanted.period), *streams), documents=(_key(command.wanted),)
    )


def close(command: CloseMonth, work: Work) -> None:
    """Seal the statements and close the month, or refuse with all that stands in the way."""
    wanted, examined = command.wanted, command.examined
    if work.document(*_key(wanted), Wanted) is None:
        return
    work.delete(*_key(wanted))
    stream = month_stream(wanted.period)
    state: MonthState = work.state(stream)
    if examined is None or wanted.expires_at <= work.now:
        work.publish(f"refusal-{wanted.request_id}", _expired(wanted))
        return
    found = reasons(examined, state)
    if found:
        work.publish(f"refusal-{wanted.request_id}", _refusal(wanted, found))
        return
    statements = _statements(examined)
    since, until = bounds(wanted.period)
    for statement in statements:
        sealed = StatementClosed(
            since=since, until=until, statement=statement, closed_by=wanted.requested_by
        )
        work.append(statement_stream(statement.statement_id), [sealed])
    closed = decide_close(examined, statements, state, closed_by=wanted.requested_by)
    work.append(stream, [closed])


def _statements(examined: Examined) -> list[Statement]:
    return [
        statement_of(payee, examined.period)
        for payee in examined.payees
        if payee.lines or payee.opening_minor
    ]


def _expired(wanted: Wanted) -> RequestRefused:
    return RequestRefused(
        request_id=wanted.request_id,
        code="REQUEST_EXPIRED",
        detail="the month could not be closed in time",
        details={},
    )


def _refusal(wanted: Wanted, found: list[Reason]) -> RequestRefused:
    return RequestRefused(
        request_id=wanted.request_id,
        code="PERIOD_NOT_CLOSABLE",
        detail=f"{wanted.period} cannot be closed: {found[0].message}"[:TEXT_LENGTH_MAX],
        errors=tuple(
            Problem(pointer="/period", message=reason.message[:TEXT_LENGTH_MAX], code=reason.code)
            for reason in found[:TOLD_MAX]
        ),
        details={},
    )


def _key(wanted: Wanted) -> DocumentKey:
    return (COLLECTION, wanted.request_id)


async def close_on_request(running: Running) -> None:
    """Look for requests a few times a second, one after the other; for ever."""
    beat = running.liveness.beat("closing")

    async def examine(period: str) -> Examined:
        return await examined_by_child(period, beat)

    while True:
        beat()
        wait = LOOK_SECONDS
        try:
            if not await close_wanted(running, examine):
                wait = BUSY_SECONDS
        except NotExaminedError as error:
            structlog.get_logger().error("month.not_examined", reason=str(error))  # noqa: TRY400 - the trace would say nothing
            wait = RETRY_SECONDS
        except (*OUTAGES, UnavailableError) as error:
            structlog.get_logger().warning("month.postponed", error=repr(error))
            wait = OUTAGE_SECONDS
        await asyncio.sleep(wait)


async def examined_by_child(period: str, beat: Callable[[], None]) -> Examined:
    """Have another process examine a month; else `NotExaminedError`."""
    ended = await run_child("revenue", "examine", period, beat=beat)
    if ended.status != 0:
        raise NotExaminedError(ended.errors)
    return msgspec.json.decode(ended.output, type=Examined)


async def close_wanted(running: Running, examine: Examine) -> bool:
    """Answer the requests there are; return False where another replica is about it."""
    rows = await running.pool.fetch(
        "select body from documents where collection = $1 order by key limit 100", COLLECTION
    )
    if not rows:
        return True
    connection = await asyncpg.connect(running.settings.postgres_dsn.get_secret_value(), timeout=5)
    try:
        if not await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", _LOCK):
            return False
        for row in rows:
            wanted = msgspec.msgpack.decode(row["body"], type=Wanted)
            late = wanted.expires_at <= running.clock.now()
            examined = None if late else await examine(wanted.period)
            command = CloseMonth(
                actor=wanted.requested_by,
                correlation_id=wanted.request_id,
                wanted=wanted,
                examined=examined,
            )
            await running.processor.execute(command)
    finally:
        await connection.close()
    return True
