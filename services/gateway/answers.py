"""Waiting, bounded, for how a request is answered."""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import asyncpg

from runtime.store import Recorded
from services.gateway.projections.requests import Told, put_by
from services.gateway.wakes import Wakes, request_topic, until_woken

WAIT_SECONDS_MAX: Final = 5.0
POLL_SECONDS: Final = 0.1
POLL_SECONDS_MAX: Final = 0.4
CONNECTION_SECONDS_MAX: Final = 5.0

Status = Literal["PENDING", "DONE", "REFUSED"]


@dataclass(frozen=True)
class Answer:
    """A request, and how it stands. `problem` has code, detail, errors and members."""

    request_id: str
    kind: str
    requested_by: str
    resource_id: str
    status: Status
    problem: dict[str, Any] | None
    requested_at: datetime


class Answers:
    """Reads requests, and waits for their answers.

    A commit in this process wakes the waiting at once; another replica's is seen by looking again
    after a tenth of a second, and ever more rarely: to ask makes nothing quicker.
    """

    def __init__(self, pool: asyncpg.Pool, wakes: Wakes, stopping: asyncio.Event) -> None:
        self._pool = pool
        self._wakes = wakes
        self._stopping = stopping

    async def wait(
        self, request_id: str, seconds: float = WAIT_SECONDS_MAX, *, put: Answer | None = None
    ) -> Answer | None:
        """Return the request once it is answered, or as it stands after this long.

        Nothing where there is no such request. While the process stops nobody is kept waiting. One
        that was `put` just now need not be looked at before anything has happened, nor where the
        wake says how it was answered.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        pause = POLL_SECONDS
        with self._wakes.waiting(request_topic(request_id)) as woken:
            if put is not None and not self._stopping.is_set():
                await until_woken(woken, min(seconds, POLL_SECONDS))
                answer = _answered(put, woken.word)
                if answer is not None:
                    return answer
            while True:
                answer = await self.read(request_id)
                left = deadline - asyncio.get_running_loop().time()
                if answer is None or answer.status != "PENDING" or left <= 0:
                    return answer
                if self._stopping.is_set():
                    return answer
                await until_woken(woken, min(left, pause))
                pause = min(pause * 2, POLL_SECONDS_MAX)

    async def read(self, request_id: str) -> Answer | None:
        """Return the request as it stands, or nothing."""
        row = await _row(self._pool, request_id)
        return None if row is None else _answer(row)


def pending(request_id: str, record: Recorded[Any]) -> Answer | None:
    """Return a request that was put by this fact, as nobody has answered it yet."""
    put = put_by(record)
    if put is None:
        return None
    kind, resource_id = put
    return Answer(request_id, kind, record.actor, resource_id, "PENDING", None, record.at)


def _answered(put: Answer, told: Told | None) -> Answer | None:
    """Return a request as it is answered by what came, if that answers it."""
    if told is None:
        return None
    if told.problem is not None:
        return replace(put, status="REFUSED", problem=told.problem)
    if put.kind not in told.kinds:
        return None
    return replace(put, status="DONE", resource_id=told.resource_id)


async def _row(pool: asyncpg.Pool, request_id: str) -> asyncpg.Record | None:
    async with pool.acquire(timeout=CONNECTION_SECONDS_MAX) as connection:
        return await connection.fetchrow(
            """select request_id, kind, requested_by, resource_id, status, problem, requested_at
               from requests where request_id = $1""",
            request_id,
        )


def _answer(row: asyncpg.Record) -> Answer:
    problem = row["problem"]
    return Answer(**{**dict(row), "problem": None if problem is None else json.loads(problem)})
