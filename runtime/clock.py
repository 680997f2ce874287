"""The one place that reads a clock."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What tells the time: aware, UTC."""

    def now(self) -> datetime:
        """Return the present moment."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved: for tests and simulations."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return where the clock was last moved to."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Move the clock forward; it never goes back."""
        if step < timedelta(0):
            raise ValueError("a clock does not go back")
        self._now += step


system_clock = SystemClock()


def monotonic_seconds() -> float:
    """Return seconds that only ever grow, for measuring how long something took."""
    return time.monotonic()
