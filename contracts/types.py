"""Value types that every contract uses.

Credits and money are whole numbers. They are different types, and neither is ever a float:
strict validation refuses `5.0`, `"5"` and `true` where a number of credits is meant.
"""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NewType

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

Credits = NewType("Credits", int)

WHOLE_NUMBER_MAX: Final = 2**53 - 1
"""The largest whole number that every JSON reader holds exactly (RFC 8259, section 6)."""


class Value(BaseModel):
    """A frozen, strict value: unknown fields and look-alike types are refused.

    Errors do not repeat the input, which may be what nobody should read in a log.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _read_rfc_3339(value: Any) -> Any:
    """Read the one spelling of a moment; pydantic would read seconds since 1970 as well."""
    if not isinstance(value, str):
        return value
    if not _RFC_3339.fullmatch(value):
        raise ValueError("not an RFC 3339 date-time with at most microseconds")
    return datetime.fromisoformat(value)


def _to_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999 in UTC") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_read_rfc_3339), AfterValidator(_to_utc)]
"""A moment with a zone, held in UTC, to the microsecond."""

JSON_DEPTH_MAX: Final = 40


def _is_json(value: Any, depth: int = 0) -> Any:
    """Refuse what JSON or a database cannot carry: `NaN`, `1e400` and NUL pass Python's reader."""
    match value:
        case str() if "\0" in value:
            raise ValueError("text with a NUL character")
        case float() if not math.isfinite(value):
            raise ValueError("not a finite number")
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple() | dict() if depth == JSON_DEPTH_MAX:
            raise ValueError(f"nested deeper than {JSON_DEPTH_MAX}")
        case list() | tuple():
            for item in value:
                _is_json(item, depth + 1)
        case dict() if all(isinstance(name, str) for name in value):
            for name, item in value.items():
                _is_json(name, depth + 1)
                _is_json(item, depth + 1)
        case _:
            raise ValueError(f"JSON has no such {type(value).__name__}")
    return value


JsonData = Annotated[Any, AfterValidator(_is_json)]
"""Any value that JSON can carry, at most 40 deep."""

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
"""An opaque id: UUIDv7 where we made it."""

ForeignId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9._:-]+$")]
"""An id that somebody else has made, and made longer than we would."""

Amount = Annotated[Credits, Field(ge=0, le=WHOLE_NUMBER_MAX)]
"""A number of credits, zero or more."""

PositiveAmount = Annotated[Credits, Field(gt=0, le=WHOLE_NUMBER_MAX)]
"""A number of credits, one or more."""

MinorUnits = Annotated[int, Field(ge=0, le=WHOLE_NUMBER_MAX)]
"""Money in the minor unit of the platform's one currency (cents of USD), zero or more."""

SignedMinorUnits = Annotated[int, Field(ge=-WHOLE_NUMBER_MAX, le=WHOLE_NUMBER_MAX)]
"""A change of money in minor units, either way."""

Count = Annotated[int, Field(ge=0, le=WHOLE_NUMBER_MAX)]
"""How many, or how far, from 0."""

Ordinal = Annotated[int, Field(ge=1, le=WHOLE_NUMBER_MAX)]
"""A number of something that is counted from 1, such as a version or an attempt."""

WholeNumber = Annotated[int, Field(ge=-WHOLE_NUMBER_MAX, le=WHOLE_NUMBER_MAX)]
"""A whole number of either sign."""

Stars = Annotated[int, Field(ge=1, le=5)]
"""What somebody thinks of a module: 1 is bad, 5 is good."""

BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
"""A share in hundredths of a percent: 3000 is 30.00 %."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code."""

Period = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
"""A month in UTC, such as `2026-11`: from its first instant up to but not including the next's."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""The SHA-256 of some content, as `sha256:` and 64 hexadecimal digits."""

Ciphertext = Annotated[
    str, Field(max_length=2_000_000, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}$")
]
"""A compact JWE (RFC 7516): five parts in base64url. What is in the clear looks otherwise."""

TEXT_PATTERN: Final = r"^[^\x00]*$"
"""Text may hold any character but NUL, which no text in Postgres may hold."""

ShortText = Annotated[str, Field(max_length=500, pattern=TEXT_PATTERN)]
LongText = Annotated[str, Field(max_length=20_000, pattern=TEXT_PATTERN)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=TEXT_PATTERN)]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=TEXT_PATTERN)]

LotKind = Literal[
    "award.signup", "award.admin", "award.referral", "award.goodwill", "award.bonus", "purchase"
]
AwardKind = Literal["award.signup", "award.admin", "award.referral", "award.goodwill"]
"""Why a person, or the platform, gives credits."""
GrantKind = Literal[AwardKind, "award.bonus"]
"""Why credits were given: a bonus comes with a purchase and is never asked for."""
Role = Literal["user", "partner", "agent", "finance", "support", "admin"]
BuildAction = Literal["CREATE", "UPDATE", "DESTROY"]
DeploymentStatus = Literal[
    "QUEUED", "PROVISIONING", "SUCCESS", "FAILED", "CANCELLED", "TIMED_OUT", "UPDATING",
    "DESTROYING", "DESTROYED",
]  # fmt: skip


class Money(Value):
    """An amount of money that may be negative, with its currency."""

    amount_minor: SignedMinorUnits
    currency: Currency

    def __add__(self, other: "Money") -> "Money":
        """Return the sum; both must be of one currency, else `ValueError`."""
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(amount_minor=self.amount_minor + other.amount_minor, currency=self.currency)
