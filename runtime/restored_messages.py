"""What a restored database's service has on the bus: its messages, and the facts they tell of."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.envelope import Envelope, parse_seen
from contracts.subjects import REQUEST_KIND
from runtime.bus_messages import messages_of
from runtime.connection import Connection
from runtime.store import Recorded, StreamKind


class SentMessage(msgspec.Struct, kw_only=True):
    """What is read of a message of our own on the bus."""

    id: str
    type: str
    subject: str
    sequence: int
    time: datetime
    correlationid: str
    causationid: str | None = None
    seen: str = ""
    factversion: int | None = None
    facthash: str | None = None
    factactor: str = ""
    factcause: str | None = None
    data: dict[str, Any]


@dataclass(frozen=True)
class Lacking:
    """A message of our own on the bus that the outbox does not have."""

    sent: SentMessage
    subject: str
    body: bytes

    @classmethod
    def read(cls, message: Msg) -> "Lacking":
        """Return the message as the bus holds it."""
        sent = msgspec.json.decode(message.data, type=SentMessage)
        return cls(sent, message.subject, message.data)


def record_of(sent: SentMessage, fact: Any) -> Recorded[Any]:
    """Return a fact at the place, and with the origin, that its message names."""
    return Recorded(
        stream=sent.subject,
        version=sent.factversion or 0,
        at=sent.time,
        fact=fact,
        id=sent.causationid or "",
        correlation_id=sent.correlationid,
        causation_id=sent.factcause,
        actor=sent.factactor,
    )


def in_order(lacking: list[Lacking]) -> list[Lacking]:
    """Return messages as they were written: by time, at one instant as the bus has them.

    Those of one stream are in its order wherever the bus has them: a part of it that was lost and
    sent again comes after what is newer.
    """
    of_stream: dict[str, list[Lacking]] = defaultdict(list)
    for each in sorted(lacking, key=lambda one: one.sent.sequence, reverse=True):
        of_stream[each.sent.subject].append(each)
    by_time = sorted(lacking, key=lambda one: one.sent.time)
    return [of_stream[each.sent.subject].pop() for each in by_time]


async def causes_of(
    client: Client,
    streams: tuple[str, ...],
    decode: Callable[[str, bytes], Envelope[Any]],
    lacking: list[Lacking],
) -> dict[str, Envelope[Any]]:
    """Return the messages that lost facts followed from, by their ids, as far as they are kept."""
    wanted = {each.sent.factcause for each in lacking} - {None}
    found: dict[str, Envelope[Any]] = {}
    for stream in streams if wanted else ():
        async for message in messages_of(client, stream):
            if (message.headers or {})["Nats-Msg-Id"] in wanted:
                cause = decode(message.subject, message.data)
                found[cause.id] = cause
    return found


def fact_told(kind: StreamKind[Any, Any], sent: SentMessage) -> Any | None:
    """Return the stored fact of a message's name with what the message says, if that is enough."""
    name = sent.type.split(".")[2]
    data = sent.data if kind.restore is None else kind.restore(name, sent.data)
    name = data.get("fact", name)
    for struct in getattr(kind.facts, "__args__", (kind.facts,)):
        if struct.__struct_config__.tag != name:
            continue
        values = {each: data[each] for each in struct.__struct_fields__ if each in data}
        try:
            return msgspec.convert({struct.__struct_config__.tag_field: name} | values, struct)
        except msgspec.ValidationError:
            return None
    return None


def _place(sent: SentMessage) -> tuple[str, int]:
    return sent.subject, sent.sequence


async def keep_as_sent(connection: Connection, taken: list[Lacking]) -> None:
    """Write messages into the outbox as what was sent already."""
    await connection.executemany(
        """insert into outbox (id, subject, stream, sequence, body)
           values ($1, $2, $3, $4, $5)""",
        [(each.sent.id, each.subject, *_place(each.sent), each.body.decode()) for each in taken],
    )


async def keep_as_answered(connection: Connection, taken: list[Lacking]) -> None:
    """Mark the requests that messages followed from as applied: nobody decides them again."""
    seen = [place for each in taken for place in parse_seen(each.sent.seen).items()]
    await connection.executemany(
        """insert into inbox_cursors (stream, sequence) values ($1, $2)
           on conflict (stream) do update
           set sequence = greatest(inbox_cursors.sequence, excluded.sequence)""",
        [(name, number) for name, number in seen if name.partition("-")[0] == REQUEST_KIND],
    )
