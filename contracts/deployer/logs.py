"""The lines a build prints, on a stream of their own: many, bounded, and no facts.

A chunk is addressed by its build and the offset of its first byte, so that it may come twice or
late and still has one place.
"""

from typing import Annotated, Final

from pydantic import Field

from contracts.types import (
    TEXT_PATTERN,
    Count,
    Id,
    Instant,
    Value,
)

LOGS_VERSION: Final = 1
CHUNK_BYTES_MAX: Final = 65_536


def log_subject(build_id: str) -> str:
    """Return the NATS subject of a build's log."""
    return f"tollgate.logs.v{LOGS_VERSION}.{build_id}"


class Progress(Value):
    """How many resources Terraform has made, changed or removed, of how many it is to."""

    done: Count
    planned: Count


class LogChunk(Value):
    """Some of a build's log: `text` begins at byte `offset` of the UTF-8 log.

    `progress` is how far Terraform was then, once it has a plan; a chunk without text tells only
    that. `final` marks the last chunk of the build; no more follow.
    """

    build_id: Id
    deployment_id: Id
    user_id: Id
    offset: Count
    text: Annotated[str, Field(max_length=CHUNK_BYTES_MAX, pattern=TEXT_PATTERN)]
    at: Instant
    progress: Progress | None = None
    final: bool = False
