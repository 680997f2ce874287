"""Waiting, bounded, for how a request is answered."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import asyncpg

from services.gateway.wakes import Wakes, request_topic, until_woken

WAIT_SECONDS_MAX: Final = 5.0
POLL_SECONDS: Final = 0.1
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
    ten times a second.
    """

    def __init__(self, pool: asyncpg.Pool, wakes: Wakes, stopping: asyncio.Event) -> None:
        self._pool = pool
        self._wakes = wakes
        self._stopping = stopping

    async def wait(
        self, request_id: str, seconds: float = WAIT_SECONDS_MAX, *, put_now: bool = False
    ) -> Answer | None:
        """Return the request once it is answered, or as it stands after this long.

        Nothing where there is no such request. While the process stops nobody is kept waiting. One
        that was put just now need not be looked at before anything has happened.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        with self._wakes.waiting(request_topic(request_id)) as woken:
            if put_now and not self._stopping.is_set():
                await until_woken(woken, min(seconds, POLL_SECONDS))
            while True:
                answer = await self.read(request_id)
                left = deadline - asyncio.get_running_loop().time()
                if answer is None or answer.status != "PENDING" or left <= 0:
                    return answer
                if self._stopping.is_set():
                    return answer
                await until_woken(woken, min(left, POLL_SECONDS))

    async def read(self, request_id: str) -> Answer | None:
        """Return the request as it stands, or nothing."""
        row = await _row(self._pool, request_id)
        return None if row is None else _answer(row)


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
