"""The store's twin in memory: the same promises, for simulations and unit tests."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime

from runtime.store import (
    Changes,
    FactRow,
    Head,
    OutboxRow,
    Transaction,
    Waiting,
    WrongVersionError,
)


@dataclass
class _Tables:
    facts: dict[str, list[FactRow]] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    outbox: list[OutboxRow] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    waiting: dict[tuple[str, int], Waiting] = field(default_factory=dict)


class MemoryStore:
    """All of a service's tables in memory; one transaction at a time."""

    def __init__(self) -> None:
        self._tables = _Tables()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction; an exception leaves the tables as they were."""
        async with self._lock:
            draft = deepcopy(self._tables)
            yield MemoryTransaction(draft)
            self._tables = draft

    async def due(self, now: datetime, limit: int) -> list[Waiting]:
        """Return waiting messages that are due and not parked, by stream and sequence."""
        ready = [
            message
            for message in self._tables.waiting.values()
            if message.due_at is not None and message.due_at <= now and message.parked_at is None
        ]
        return sorted(ready, key=lambda message: (message.stream, message.sequence))[:limit]

    async def pending(
        self,
        limit: int,
        published: Sequence[int] = (),
        *,
        connection: object = None,  # noqa: ARG002 - there is none
    ) -> list[OutboxRow]:
        """Return messages that are not yet marked as published, in the order of their writing."""
        await self.mark_published(published)
        return [self._tables.outbox[position - 1] for position in self._tables.pending[:limit]]

    async def mark_published(self, positions: Sequence[int]) -> None:
        """Take these messages off what is pending."""
        gone = set(positions)
        self._tables.pending = [p for p in self._tables.pending if p not in gone]

    async def read(self, stream: str, after_version: int = 0) -> list[FactRow]:
        """Return a stream's facts above a version, in order."""
        return [f for f in self._tables.facts.get(stream, []) if f.version > after_version]


class MemoryTransaction:
    """One open transaction on a draft of the tables."""

    def __init__(self, draft: _Tables) -> None:
        self._tables = draft

    @property
    def connection(self) -> None:
        """There is no SQL here."""
        return

    async def lock(
        self, cursors: Collection[str], heads: Collection[str]
    ) -> tuple[dict[str, int], dict[str, Head]]:
        """Return cursors and heads; the store's own lock is all there is."""
        applied = {name: self._tables.cursors.get(name, 0) for name in cursors}
        return applied, await self.lock_heads(heads)

    async def read(
        self, cursors: Collection[str], keys: Collection[tuple[str, str]]
    ) -> tuple[dict[str, int], dict[tuple[str, str], bytes]]:
        """Return cursors and documents."""
        applied = {name: self._tables.cursors.get(name, 0) for name in cursors}
        return applied, await self.documents(keys)

    async def lock_heads(self, streams: Collection[str]) -> dict[str, Head]:
        """Return copies of the heads, new ones at version 0."""
        return {name: replace(self._tables.heads.get(name) or Head(name)) for name in streams}

    async def documents(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """Return those documents that exist."""
        return {key: self._tables.documents[key] for key in keys if key in self._tables.documents}

    async def write(self, changes: Changes) -> None:
        """Write everything to the draft."""
        for fact in changes.facts:
            stream = self._tables.facts.setdefault(fact.stream, [])
            if fact.version <= len(stream):
                raise WrongVersionError(f"{fact.stream} already has version {fact.version}")
            stream.append(fact)
        for head in changes.heads:
            self._tables.heads[head.name] = replace(head)
        for row in changes.outbox:
            position = len(self._tables.outbox) + 1
            self._tables.outbox.append(replace(row, position=position))
            self._tables.pending.append(position)
        for key, body in changes.documents.items():
            if body is None:
                self._tables.documents.pop(key, None)
            else:
                self._tables.documents[key] = body
        for message in changes.set_aside:
            place = (message.stream, message.sequence)
            before = self._tables.waiting.get(place)
            self._tables.waiting[place] = (
                message
                if before is None
                else replace(message, id=before.id, first_at=before.first_at)
            )
        for settled in changes.settled:
            self._tables.waiting.pop(settled, None)
        for stream_name, sequence in changes.cursors.items():
            self._tables.cursors[stream_name] = sequence
            successor = self._tables.waiting.get((stream_name, sequence + 1))
            if successor and successor.parked_at is None and successor.due_at is None:
                self._tables.waiting[stream_name, sequence + 1] = replace(
                    successor, due_at=successor.first_at
                )
