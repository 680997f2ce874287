"""A database that was restored from a backup older than what the bus carries of its service.

What the service published since is on the bus, and others have acted on it. A service that went on
from the backup would number new messages as old ones, and nobody would take them; so it refuses to
start (`lacks_of_bus`), and `import_lost` brings back what can be proven: a fact is taken over only
where the stored form made from its message gives, after the fact before it, the very hash that the
message carries. Nothing is invented: what cannot be proven is told, and stays lost unless somebody
accepts that.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg
import msgspec
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from contracts.envelope import Envelope
from contracts.subjects import facts_stream
from runtime.bus_messages import messages_of
from runtime.clock import system_clock
from runtime.connection import Connection
from runtime.outbox import RELAY_LOCK
from runtime.postgres_store import PostgresTransaction
from runtime.projector import Projection
from runtime.restored_messages import (
    Lacking,
    SentMessage,
    causes_of,
    fact_told,
    in_order,
    keep_as_answered,
    keep_as_sent,
    record_of,
)
from runtime.store import Changes, FactRow, Head, Recorded, StreamKind
from runtime.work import Command, DocumentKey, Handlers, Work, fact_row

ACTOR: Final = "tollgate db import"


class StillRunningError(Exception):
    """The service that was restored runs; nothing was changed."""


@dataclass(frozen=True)
class Lost:
    """A message on the bus whose fact the database has not, and why it could not be proven."""

    stream: str
    sequence: int
    type: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class Imported:
    """What came of it: messages and facts taken over, and what is lost."""

    messages: int
    facts: int
    lost: tuple[Lost, ...]


async def lacks_of_bus(
    jetstream: JetStreamContext, connection: Connection, service: str
) -> str | None:
    """Return which message the bus has last of a service, where its outbox does not have it."""
    stream = facts_stream(service)
    last = (await jetstream.stream_info(stream)).state.last_seq
    if last == 0:
        return None
    try:
        message = await jetstream.get_msg(stream, last, direct=True)
    except NotFoundError:
        return None
    sent = msgspec.json.decode(message.data or b"", type=SentMessage)
    known = await connection.fetchval(
        "select id from outbox where stream = $1 and sequence = $2", sent.subject, sent.sequence
    )
    if known == sent.id:
        return None
    place = f"{sent.subject} {sent.sequence} of {sent.time.isoformat()}"
    return (
        f"the database is older than the bus, which carries {place}: it was restored from a backup;"
        " see docs/runbooks/restored.md"
    )


@dataclass(frozen=True)
class Again:
    """What decides again, alike, from a message of others and the own streams alone.

    Such facts need not be told whole by their messages: what was decided from the message that a
    fact names as its cause is held against the fact's hash. `sources` are the streams with those.
    """

    handlers: Handlers
    sources: tuple[str, ...]
    decode: Callable[[str, bytes], Envelope[Any]]


Abandon = Callable[[Any, Sequence[tuple[str, Mapping[str, Any]]]], Any | None]
"""The fact that ends a stream whose last facts are lost, of its state and the lost messages."""


class Memory(Protocol):
    """What a service keeps in documents of its own facts, told by each fact alone."""

    def keys(self, record: Recorded[Any]) -> tuple[DocumentKey, ...]:
        """Return the documents that a fact changes."""
        ...

    def remember(self, record: Recorded[Any], before: Any, work: Work) -> None:
        """Change them; `before` is the stream's state before the fact."""
        ...


@dataclass(frozen=True, kw_only=True)
class Restoring:
    """What of a service it takes to bring its facts back, where their messages do not tell all."""

    again: Handlers | None = None
    memory: Memory | None = None
    abandon: Abandon | None = None


@dataclass
class _Decided:
    """Facts that were decided again, by their stream and version, until they are asked for."""

    again: Again | None
    service: str
    kinds: tuple[StreamKind[Any, Any], ...]
    causes: Mapping[str, Envelope[Any]]
    facts: dict[tuple[str, int], Any] = field(default_factory=dict)

    def fact(self, sent: SentMessage, heads: Mapping[str, Head]) -> Any | None:
        """Return the fact behind a message, if it can be decided from its cause."""
        place = (sent.subject, sent.factversion or 0)
        cause = self.causes.get(sent.factcause or "")
        if place not in self.facts and cause is not None and self.again is not None:
            needs = self.again.handlers.needs(cause)
            work = Work(
                service=self.service,
                kinds=self.kinds,
                refused=None,
                now=sent.time,
                heads={name: replace(heads.get(name, Head(name))) for name in needs.streams},
                documents={},
                declared_documents=frozenset(),
            )
            work.begin(cause, None)
            self.again.handlers.handle(cause, work)
            self.facts |= {(one.stream, one.version): one.fact for one in work.end().records}
        return self.facts.pop(place, None)


class Importing:
    """Takes over what the bus carries of a service and its database lacks."""

    def __init__(
        self,
        service: str,
        kinds: tuple[StreamKind[Any, Any], ...],
        projections: tuple[Projection, ...],
        *,
        accept_loss: bool,
        restoring: Restoring,
        again: Again | None = None,
    ) -> None:
        self._service = service
        self._kinds = {kind.name: kind for kind in kinds}
        self._again = again
        self._memory = restoring.memory
        self._abandon = restoring.abandon
        self._before: list[Any] = []
        self._decided = _Decided(again, service, kinds, {})
        self._projections = projections
        self._accept_loss = accept_loss

    async def run(
        self, connection: asyncpg.Connection, client: Client, *, check: bool = False
    ) -> Imported:
        """Import in one transaction; with `check` undo it. The service must not run."""
        if not await connection.fetchval("select pg_try_advisory_lock(hashtext($1))", RELAY_LOCK):
            raise StillRunningError(f"{self._service} runs: stop it first")
        known = {UUID(row["id"]).bytes for row in await connection.fetch("select id from outbox")}
        lacking = [
            Lacking.read(message)
            async for message in messages_of(client, facts_stream(self._service))
            if UUID((message.headers or {})["Nats-Msg-Id"]).bytes not in known
        ]
        if self._again is not None:
            causes = await causes_of(client, self._again.sources, self._again.decode, lacking)
            self._decided = replace(self._decided, causes=causes)
        begun = connection.transaction()
        await begun.start()
        try:
            found = await self._take_over(connection, lacking)
        except BaseException:
            await begun.rollback()
            raise
        await (begun.rollback() if check else begun.commit())
        return found

    async def _take_over(self, connection: asyncpg.Connection, lacking: list[Lacking]) -> Imported:
        transaction = PostgresTransaction(connection)
        heads = await transaction.lock_heads(
            {each.sent.subject for each in lacking if each.sent.factversion}
        )
        facts: list[FactRow] = []
        records: list[Recorded[Any]] = []
        lost: list[Lost] = []
        taken: list[Lacking] = []
        left: set[str] = set()
        for each in in_order(lacking):
            sent = each.sent
            head = heads.get(sent.subject)
            reason = None if head is None else self._append(heads, sent, facts, records)
            if reason is not None or sent.subject in left:
                reason = reason or "one before it is lost"
                lost.append(Lost(sent.subject, sent.sequence, sent.type, sent.time, reason))
                left.add(sent.subject)
                if not self._accept_loss:
                    continue
            if head is not None:
                head.sequence = sent.sequence
            taken.append(each)
        changes = Changes(facts=facts, heads=list(heads.values()))
        changes.documents = await self._remembered(transaction, records)
        if self._abandon is not None and self._accept_loss:
            told = [each.sent for each in taken if each.sent.subject in left]
            records += _abandoned(self._work(heads=heads), heads, told, self._abandon, changes)
        await transaction.write(changes)
        await keep_as_sent(connection, taken)
        await keep_as_answered(connection, taken)
        for projection in self._projections:
            await projection.apply(connection, records)
        return Imported(len(taken), len(facts), tuple(lost))

    async def _remembered(
        self, transaction: PostgresTransaction, records: list[Recorded[Any]]
    ) -> dict[DocumentKey, bytes | None]:
        """Return the documents as the facts that were brought back leave them."""
        if self._memory is None or not records:
            return {}
        keys = frozenset(key for record in records for key in self._memory.keys(record))
        work = self._work(documents=await transaction.documents(keys), declared=keys)
        for record, before in zip(records, self._before, strict=True):
            self._memory.remember(record, before, work)
        return work.changes.documents

    def _work(
        self,
        heads: Mapping[str, Head] | None = None,
        documents: Mapping[DocumentKey, bytes] | None = None,
        declared: frozenset[DocumentKey] = frozenset(),
    ) -> Work:
        return Work(
            service=self._service,
            kinds=tuple(self._kinds.values()),
            refused=None,
            now=system_clock.now(),
            heads=heads or {},
            documents=documents or {},
            declared_documents=declared,
        )

    def _append(
        self,
        heads: Mapping[str, Head],
        sent: SentMessage,
        facts: list[FactRow],
        records: list[Recorded[Any]],
    ) -> str | None:
        """Append the fact behind a message, if it can be proven; else return why not."""
        head = heads[sent.subject]
        if (sent.factversion, sent.facthash) == (head.version, head.last_hash.hex()):
            return None
        if sent.factversion != head.version + 1:
            return f"its fact is version {sent.factversion}, and {head.version} is the last here"
        kind = self._kinds[head.name.partition("-")[0]]
        said = [each for each in (fact_told(kind, sent), self._decided.fact(sent, heads)) if each]
        for fact in said:
            record = record_of(sent, fact)
            row = fact_row(record, head.last_hash)
            if row.hash.hex() != sent.facthash:
                continue
            state = (
                kind.initial(head.name)
                if head.state is None
                else msgspec.msgpack.decode(head.state, type=kind.state)
            )
            self._before.append(state)
            head.state = msgspec.msgpack.encode(kind.evolve(state, fact))
            head.version, head.last_at, head.last_hash = row.version, row.at, row.hash
            facts.append(row)
            records.append(record)
            return None
        if said:
            return "its hash is not that of what the message says"
        return "the message does not say all that its fact says"


def _abandoned(
    work: Work,
    heads: Mapping[str, Head],
    told: Sequence[SentMessage],
    abandon: Abandon,
    changes: Changes,
) -> list[Recorded[Any]]:
    """End what was under way in streams whose last facts are lost; add it to the changes."""
    streams: dict[str, list[SentMessage]] = defaultdict(list)
    for sent in told:
        streams[sent.subject].append(sent)
    records: list[Recorded[Any]] = []
    for stream, messages in streams.items():
        last_at = heads[stream].last_at or messages[-1].time
        heads[stream].last_at = max(last_at, messages[-1].time)
        said = [(sent.type.split(".")[2], sent.data) for sent in messages]
        fact = abandon(work.state(stream), said)
        if fact is None:
            continue
        work.begin(Command(actor=ACTOR), None)
        work.append(stream, [fact])
        records += work.end().records
    made = work.finish()
    changes.facts += made.facts
    changes.outbox += made.outbox
    return records
