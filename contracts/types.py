"""Value types that every contract uses.

Credits and money are whole numbers. They are different types, and neither is ever a float:
strict validation refuses `5.0`, `"5"` and `true` where a number of credits is meant.
"""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NewType

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

Credits = NewType("Credits", int)

WHOLE_NUMBER_MAX: Final = 2**53 - 1
"""The largest whole number that every JSON reader holds exactly (RFC 8259, section 6)."""

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Value(BaseModel):
    """A frozen, strict value: unknown fields and look-alike types are refused."""

    model_config = _STRICT


def _to_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A moment with a zone, held in UTC."""

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
"""An opaque id: UUIDv7 where we made it."""

Amount = Annotated[Credits, Field(ge=0, le=WHOLE_NUMBER_MAX)]
"""A number of credits, zero or more."""

PositiveAmount = Annotated[Credits, Field(gt=0, le=WHOLE_NUMBER_MAX)]
"""A number of credits, one or more."""

SignedAmount = Annotated[Credits, Field(ge=-WHOLE_NUMBER_MAX, le=WHOLE_NUMBER_MAX)]
"""A change of credits, either way."""

MinorUnits = Annotated[int, Field(ge=0, le=WHOLE_NUMBER_MAX)]
"""Money in the minor unit of the platform's one currency (cents of USD), zero or more."""

SignedMinorUnits = Annotated[int, Field(ge=-WHOLE_NUMBER_MAX, le=WHOLE_NUMBER_MAX)]
"""A change of money in minor units, either way."""

BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
"""A share in hundredths of a percent: 3000 is 30.00 %."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
"""An ISO 4217 code."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""The SHA-256 of some content, as `sha256:` and 64 hexadecimal digits."""

Ciphertext = Annotated[str, Field(min_length=1, max_length=2_000_000)]
"""A compact JWE (RFC 7516)."""

ShortText = Annotated[str, Field(max_length=500)]
LongText = Annotated[str, Field(max_length=20_000)]

LotKind = Literal[
    "award.signup", "award.admin", "award.referral", "award.goodwill", "award.bonus", "purchase"
]
AwardKind = Literal["award.signup", "award.admin", "award.referral", "award.goodwill"]
Role = Literal["user", "partner", "agent", "finance", "support", "admin"]
BuildAction = Literal["CREATE", "UPDATE", "DESTROY"]


class Money(Value):
    """An amount of money that may be negative, with its currency."""

    amount_minor: SignedMinorUnits
    currency: Currency

    def __add__(self, other: "Money") -> "Money":
        """Return the sum; both must be of one currency, else `ValueError`."""
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(amount_minor=self.amount_minor + other.amount_minor, currency=self.currency)
