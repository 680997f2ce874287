"""The envelope around every message: CloudEvents 1.0, structured JSON.

`subject` and `partitionkey` are the name of the stream the message belongs to; `sequence` counts
that stream's published messages from 1 without a gap. `seen` names the streams, and how far, that
the sender had applied and that matter to the message.
"""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from contracts.events import Event
from contracts.types import Id, Instant

E_co = TypeVar("E_co", bound=Event, covariant=True)

SEEN_STREAMS_MAX = 64
StreamName = Annotated[str, Field(pattern=r"^[a-z_]+(-[A-Za-z0-9._:-]+)?$", max_length=120)]


class Envelope(BaseModel, Generic[E_co]):
    """A message as it travels: who says it, of which stream, what number, caused by what."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    specversion: Literal["1.0"] = "1.0"
    id: Id
    source: Annotated[str, Field(pattern=r"^/tollgate/[a-z]+$")]
    type: Annotated[str, Field(pattern=r"^tollgate\.[a-z]+\.[a-z_]+\.v[1-9][0-9]*$")]
    subject: StreamName
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    partitionkey: StreamName
    sequence: Annotated[int, Field(ge=1)]
    correlationid: Id
    causationid: Id | None = None
    seen: Annotated[str, Field(max_length=16_384)] = ""
    traceparent: Annotated[str, Field(max_length=64)] | None = None
    data: E_co

    @field_validator("seen")
    @classmethod
    def _seen_is_readable(cls, value: str) -> str:
        parse_seen(value)
        return value

    @property
    def service(self) -> str:
        """Return the producing service's name."""
        return self.source.rpartition("/")[2]

    def seen_streams(self) -> dict[str, int]:
        """Return how far the sender had applied other streams: name → sequence."""
        return parse_seen(self.seen)

    def to_bytes(self) -> bytes:
        """Return the structured JSON of the message; attributes that are not set are left out."""
        return self.model_dump_json(exclude_none=False).encode()


def parse_seen(text: str) -> dict[str, int]:
    """Return `{"wallet-1": 7}` for `"wallet-1=7"`; `ValueError` where it is malformed."""
    if not text:
        return {}
    pairs = text.split(",")
    if len(pairs) > SEEN_STREAMS_MAX:
        raise ValueError(f"seen names more than {SEEN_STREAMS_MAX} streams")
    streams: dict[str, int] = {}
    for pair in pairs:
        name, equals, sequence = pair.rpartition("=")
        if not equals or not name or not sequence.isdigit():
            raise ValueError(f"seen is not a list of stream=sequence: {pair!r}")
        streams[name] = int(sequence)
    return streams


def format_seen(streams: dict[str, int]) -> str:
    """Return the text form of `parse_seen`'s result, by name, so that it is canonical."""
    return ",".join(f"{name}={sequence}" for name, sequence in sorted(streams.items()))
