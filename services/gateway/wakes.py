"""Wakes whoever waits in this process for something to be committed.

A wake is a hint that makes waiting short; it is never relied upon. Another replica's commit wakes
nobody here, so whoever waits looks again after a bounded while as well.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

FEED: Final = "feed"


def request_topic(request_id: str) -> str:
    """Return what is woken when a request was answered."""
    return f"request {request_id}"


def log_topic(build_id: str) -> str:
    """Return what is woken when a build's log has grown."""
    return f"log {build_id}"


class Woken(asyncio.Event):
    """Set by a wake; `word` is the first that came with one, if any did."""

    word: Any = None


class Wakes:
    """Topics, and the events of those who wait for them."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[Woken]] = defaultdict(set)

    def wake(self, topic: str, word: Any = None) -> None:
        """Wake all who wait for the topic, with a word on what was committed."""
        for event in self._waiting.get(topic, ()):
            if event.word is None:
                event.word = word
            event.set()

    @contextmanager
    def waiting(self, topic: str) -> Iterator[Woken]:
        """Give an event that is set by each wake, for as long as the block lasts."""
        event = Woken()
        self._waiting[topic].add(event)
        try:
            yield event
        finally:
            self._waiting[topic].discard(event)
            if not self._waiting[topic]:
                del self._waiting[topic]


async def until_woken(event: asyncio.Event, seconds_max: float) -> None:
    """Return when the event is set, or after this long; the event is clear again."""
    try:
        async with asyncio.timeout(seconds_max):
            await event.wait()
    except TimeoutError:
        return
    finally:
        event.clear()
