"""An instant before which nothing may happen any more, whatever a replica's clock says.

A service that names a document as its floor has it read in every transaction, after the heads are
locked. So once a higher floor is committed, and every transaction that was open then has ended, no
fact can carry an earlier `at`; and nobody waited for anybody.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec


class TimeFloor(msgspec.Struct, frozen=True):
    """The document."""

    until: datetime


def not_before_floor(
    now: datetime, floor: tuple[str, str] | None, documents: Mapping[tuple[str, str], bytes]
) -> datetime:
    """Return the time, or the floor where this machine's clock is behind it."""
    body = None if floor is None else documents.get(floor)
    return now if body is None else max(now, msgspec.msgpack.decode(body, type=TimeFloor).until)
