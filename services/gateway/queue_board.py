"""Where a build stands in the queue, and when it may start: by the rule that starts it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts.queue_rules import Waiting, expected_start
from runtime.clock import monotonic_seconds
from runtime.connection import Connection
from services.gateway.queries.builds import QueueStanding, queue_standing

ALWAYS_READ_MAX: Final = 50
KEPT_SECONDS: Final = 1.0
KEPT_SHARE: Final = 100
"""Of the time at most one part in so many is spent on reading; it keeps the loop from all else."""
KEPT_SECONDS_MAX: Final = 10.0


@dataclass(frozen=True)
class Place:
    """A place from 1 on; `overtaken` where somebody before it asked later."""

    position: int
    overtaken: bool
    expected_start_at: datetime | None


class QueueBoard:
    """Tells places. A short queue is always read; a long one once a second, or more rarely.

    However many ask: the longer it is, the more rarely.
    """

    def __init__(self) -> None:
        self._kept: QueueStanding | None = None
        self._kept_until = 0.0

    async def place(self, connection: Connection, build: Mapping[str, Any], now: datetime) -> Place:
        """Return the place of a build that waits; one since the queue was read stands at its end.

        `build` has the columns build_id, deployment_id, user_id and queued_at.
        """
        standing = await self._standing(connection)
        position, overtaken = standing.turns.place(Waiting(**build))
        usual = standing.build_time
        expected = None
        if usual is not None:
            ends = [begun + usual for begun in standing.begun_at]
            expected = expected_start(position, ends, now=now, build_time=usual)
        return Place(position, overtaken, expected)

    async def _standing(self, connection: Connection) -> QueueStanding:
        kept = self._kept
        begun = monotonic_seconds()
        if kept is not None and begun < self._kept_until:
            return kept
        standing = await queue_standing(connection)
        self._kept = standing if standing.waiting > ALWAYS_READ_MAX else None
        read = monotonic_seconds()
        kept_for = max(KEPT_SECONDS, (read - begun) * KEPT_SHARE)
        self._kept_until = read + min(kept_for, KEPT_SECONDS_MAX)
        return standing
