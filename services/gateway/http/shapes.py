"""Shapes that several resources share: what comes in is read strictly, what goes out is exact."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Currency, MinorUnits
from services.gateway.http.cursors import Cursors

T = TypeVar("T")


class Input(BaseModel):
    """What a caller sends: unknown fields and look-alike types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


def left_out(**options: Any) -> Any:
    """Return the default of a field that may be left out: then it is not in `model_fields_set`."""
    return Field(default=None, json_schema_extra=_without_default, **options)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class Output(BaseModel):
    """What a caller gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(Input):
    """Money that is asked for."""

    amount_minor: MinorUnits
    currency: Currency


class Amount(Output):
    """Money: whole minor units of a currency; negative where it is taken back."""

    amount_minor: Annotated[int, Field(examples=[2000])]
    currency: Annotated[str, Field(examples=["USD"])]


class Page(Output, Generic[T]):
    """A part of a list; `next_cursor` leads to the next, and is null at the end."""

    items: list[T]
    next_cursor: str | None


class InputError(Output):
    """Where an input is wrong; `in` tells when it is not the body."""

    model_config = ConfigDict(extra="allow")

    pointer: str
    message: str
    code: str


class Problem(Output):
    """What is wrong (RFC 9457); `code` is stable, and there may be more members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(examples=["NOT_FOUND"])]
    request_id: str
    errors: list[InputError] = []


def page(
    rows: Sequence[Mapping[str, Any]],
    *,
    limit: int,
    cursors: Cursors,
    scope: Mapping[str, Any],
    key: Callable[[Mapping[str, Any]], tuple[Any, ...]],
    item: Callable[[Mapping[str, Any]], T],
) -> tuple[list[T], str | None]:
    """Return the items of at most `limit` rows, and the cursor to the rest, if there is more.

    `rows` were read with a limit of one more, which tells whether there is.
    """
    shown = rows[:limit]
    more = len(rows) > limit
    cursor = cursors.write(scope, key(shown[-1])) if more and shown else None
    return [item(row) for row in shown], cursor


def by_time(name: str, id_name: str = "id") -> Callable[[Mapping[str, Any]], tuple[datetime, str]]:
    """Return what takes the key of a list that is in the order of a time and an id."""

    def key(row: Mapping[str, Any]) -> tuple[datetime, str]:
        return row[name], row[id_name]

    return key
