"""The envelope around every message: CloudEvents 1.0, structured JSON.

`subject` and `partitionkey` are the name of the stream the message belongs to; `sequence` counts
that stream's published messages from 1 without a gap. `seen` names the streams, and how far, that
the sender had applied and that matter to the message. `factversion` and `facthash` are the place
and the chained hash of the stored fact that the message tells of, where there is one: so whoever
keeps a message can point to what proves it. `factactor` and `factcause` are who brought the fact
about and the id of the message that it followed from, if it followed from one: the hash covers
them, so that with them the fact can be made anew from its message and proven by nothing else.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Generic, Literal, Self, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.events import Event
from contracts.types import Id, Instant

E_co = TypeVar("E_co", bound=Event, covariant=True)

SEEN_STREAMS_MAX: Final = 64
NAME_LENGTH_MAX: Final = 200
SEQUENCE_MAX: Final = 2**31 - 1
"""The largest whole number that a CloudEvents attribute may hold."""

STREAM_NAME_PATTERN: Final = r"^[a-z_]+(-[A-Za-z0-9._:-]+)?$"
STREAM_NAME_LENGTH_MAX: Final = 120
StreamName = Annotated[str, Field(pattern=STREAM_NAME_PATTERN, max_length=STREAM_NAME_LENGTH_MAX)]

_SEEN: Final = re.compile(r"([a-z_]+(?:-[A-Za-z0-9._:-]+)?)=(0|[1-9][0-9]{0,9})")


def _unset(value: object) -> bool:
    return value is None


class Envelope(BaseModel, Generic[E_co]):
    """A message as it travels: who says it, of which stream, what number, caused by what."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: Id
    source: Annotated[str, Field(pattern=r"^/tollgate/[a-z]+$", max_length=NAME_LENGTH_MAX)]
    type: Annotated[
        str,
        Field(pattern=r"^tollgate\.[a-z]+\.[a-z_]+\.v[1-9][0-9]*$", max_length=NAME_LENGTH_MAX),
    ]
    subject: StreamName
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Annotated[str, Field(max_length=NAME_LENGTH_MAX)]
    partitionkey: StreamName
    sequence: Annotated[int, Field(ge=1, le=SEQUENCE_MAX)]
    correlationid: Id
    causationid: Id | None = None
    seen: Annotated[str, Field(max_length=16_384)] = ""
    traceparent: Annotated[str, Field(max_length=64)] | None = None
    factversion: Annotated[int | None, Field(ge=1, le=SEQUENCE_MAX, exclude_if=_unset)] = None
    facthash: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$", exclude_if=_unset)] = None
    factactor: Annotated[str | None, Field(max_length=NAME_LENGTH_MAX, exclude_if=_unset)] = None
    factcause: Annotated[Id | None, Field(exclude_if=_unset)] = None
    data: E_co

    @field_validator("seen")
    @classmethod
    def _seen_is_readable(cls, value: str) -> str:
        parse_seen(value)
        return value

    @model_validator(mode="after")
    def _is_of_one_stream(self) -> Self:
        if self.partitionkey != self.subject:
            raise ValueError(f"subject {self.subject!r} and partitionkey {self.partitionkey!r}")
        return self

    @property
    def service(self) -> str:
        """Return the producing service's name."""
        return self.source.rpartition("/")[2]

    def seen_streams(self) -> dict[str, int]:
        """Return how far the sender had applied other streams: name → sequence."""
        return parse_seen(self.seen)

    def to_bytes(self) -> bytes:
        """Return the structured JSON, without spaces, in the order of the fields.

        An attribute that is not set is `null`, which CloudEvents reads as absent, or absent where
        no stored fact stands behind the message.
        """
        return self.model_dump_json().encode()


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope as it is sent: the same bytes as `Envelope.to_bytes`, many times faster.

    Nothing is checked here: `data` is the JSON of an event that was checked when it was made.
    """

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str = "application/json"
    dataschema: str
    partitionkey: str
    sequence: int
    correlationid: str
    causationid: str | None
    seen: str
    traceparent: str | None
    factversion: int | msgspec.UnsetType = msgspec.UNSET
    facthash: str | msgspec.UnsetType = msgspec.UNSET
    factactor: str | msgspec.UnsetType = msgspec.UNSET
    factcause: str | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw

    def to_bytes(self) -> bytes:
        """Return the structured JSON, without spaces, in the order of the fields."""
        return _WIRE.encode(self)


_WIRE: Final = msgspec.json.Encoder()


def parse_seen(text: str) -> dict[str, int]:
    """Return `{"wallet-1": 7}` for `"wallet-1=7"`; `ValueError` where it is malformed."""
    if not text:
        return {}
    pairs = text.split(",", SEEN_STREAMS_MAX)
    if len(pairs) > SEEN_STREAMS_MAX:
        raise ValueError(f"seen names more than {SEEN_STREAMS_MAX} streams")
    streams: dict[str, int] = {}
    for pair in pairs:
        match = _SEEN.fullmatch(pair)
        if match is None:
            raise ValueError(f"seen is not a list of stream=sequence: {pair[:200]!r}")
        name, sequence = match[1], int(match[2])
        if name in streams:
            raise ValueError(f"seen names {name[:200]!r} twice")
        streams[name] = sequence
    return streams


def format_seen(streams: Mapping[str, int]) -> str:
    """Return the text form of `parse_seen`'s result, by name, so that it is canonical.

    `ValueError` where no receiver could read it: so a message that would be parked is never sent.
    """
    text = ",".join(f"{name}={sequence}" for name, sequence in sorted(streams.items()))
    parse_seen(text)
    return text
