"""What an endpoint is given: who asks, the gateway, and parameters that many calls have."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, cast

from fastapi import Depends, Path, Query
from starlette.requests import Request

from services.gateway.credentials import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.cursors import CURSOR_LENGTH_MAX, LIMIT_DEFAULT, LIMIT_MAX, Cursors
from services.gateway.http.problems import ProblemError, invalid

ID_PATTERN: Final = r"^[A-Za-z0-9._:-]{1,64}$"
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_MOMENT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9:.]{8,15}([Zz]|[ +-][0-9:]{5}))?$"
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


async def _gateway(request: Request) -> Gateway:
    return cast("Gateway", request.app.state.gateway)


async def _cursors(request: Request) -> Cursors:
    return cast("Cursors", request.app.state.cursors)


async def _anybody(request: Request) -> Principal | None:
    return cast("Principal | None", request.state.principal)


async def _principal(request: Request) -> Principal:
    return cast("Principal", request.state.principal)


async def _operation_id(request: Request) -> str:
    return cast("str", request.state.operation_id)


@dataclass(frozen=True)
class Paging:
    """How much of a list, and from where on."""

    limit: int
    cursor: str | None


async def _paging(
    limit: Annotated[
        int, Query(ge=1, le=LIMIT_MAX, description="How many items at most.")
    ] = LIMIT_DEFAULT,
    cursor: Annotated[
        str | None,
        Query(max_length=CURSOR_LENGTH_MAX, description="A `next_cursor` of the same list."),
    ] = None,
) -> Paging:
    return Paging(limit, cursor)


TheGateway = Annotated[Gateway, Depends(_gateway)]
TheCursors = Annotated[Cursors, Depends(_cursors)]
Anybody = Annotated[Principal | None, Depends(_anybody)]
Asker = Annotated[Principal, Depends(_principal)]
OperationId = Annotated[str, Depends(_operation_id)]
ThePaging = Annotated[Paging, Depends(_paging)]

IdInPath = Annotated[str, Path(pattern=ID_PATTERN, description="An opaque id.")]
IdInQuery = Annotated[str | None, Query(pattern=ID_PATTERN)]
_TEXT: Final = r"^[^\x00]*$"
Search = Annotated[
    str | None,
    Query(min_length=1, max_length=200, pattern=_TEXT, description="Text to look for."),
]
TextInQuery = Annotated[str | None, Query(max_length=200, pattern=_TEXT)]
Moment = Annotated[
    str | None,
    Query(
        max_length=40,
        description="An instant (RFC 3339), or a date, which is a whole day in UTC.",
        examples=["2026-01-31"],
        pattern=_MOMENT,
    ),
]


def whose(asker: Principal, user_id: str | None, *roles: str) -> str:
    """Return the user whom a call is about: the asker, or another if a role allows it.

    A 403 otherwise, whether there is such a user or not.
    """
    if user_id is None or user_id == asker.user_id:
        return asker.user_id
    if not asker.has(*roles):
        raise ProblemError("FORBIDDEN")
    return user_id


def period(begin: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the instants from which on and before which; a plain date in `to` is included."""
    return _moment(begin, "from"), _moment(end, "to", whole_day=True)


def moment(text: str | None, name: str) -> datetime | None:
    """Return the instant that a parameter names, if it is there."""
    return _moment(text, name)


def _moment(text: str | None, name: str, *, whole_day: bool = False) -> datetime | None:
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            day = datetime.combine(date.fromisoformat(text), time(), UTC)
            return _shifted(day, timedelta(days=1 if whole_day else 0))
        # A plus that was not encoded arrives as a space.
        text = text.replace(" ", "+")
        if _INSTANT.fullmatch(text):
            local = datetime.fromisoformat(text.upper())
            return _shifted(local.replace(tzinfo=UTC), -(local.utcoffset() or timedelta()))
    except ValueError:
        pass
    detail = "is no date and no instant (RFC 3339)"
    raise invalid(f"/{name}", detail, "NOT_A_MOMENT", parameter=name)


def _shifted(moment: datetime, by: timedelta) -> datetime:
    """Return a later or earlier moment: the first or last that there is, where it is beyond."""
    try:
        return moment + by
    except OverflowError:
        return _LAST if by > timedelta() else _FIRST
