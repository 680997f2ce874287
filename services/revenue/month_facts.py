"""What revenue stores of months and of statements. Money is in minor units of `currency`."""

from datetime import datetime
from typing import Literal

import msgspec

from services.revenue.events import LedgerEntry

ReasonCode = Literal[
    "NOT_ATTESTED",
    "ALREADY_CLOSED",
    "EARLIER_MONTH_OPEN",
    "MESSAGES_WAIT",
    "FACTS_DIFFER",
    "AMOUNTS_DIFFER",
    "CHAIN_BROKEN",
    "LINES_DIFFER",
    "BALANCES_DIFFER",
    "TOO_MANY_PAYEES",
]


class Applied(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of the ledger concerns revenue in a month: facts by kind, and what they come to."""

    facts: dict[str, int]
    recognized_minor: int
    reversed_minor: int


class MonthAttested(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="month_attested",
    forbid_unknown_fields=True,
):
    """The ledger says what a month that is over came to, and that nothing can be added to it."""

    period: str
    since: datetime
    until: datetime
    ledger: Applied
    head: str
    entry: LedgerEntry


class MonthClosed(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="month_closed",
    forbid_unknown_fields=True,
):
    """A month is closed, with so many statements; `verified_facts` of revenue were verified."""

    period: str
    statements: int
    payable_minor: int
    applied: Applied
    verified_facts: int
    closed_by: str


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a payee is due of a month.

    `opening_minor` is what the statement before carried forward. `accrued_minor` are the month's
    shares, `reversed_minor` what of the same month was taken back, `adjustments_minor` what was
    taken back of earlier months. The balance is the sum of the four. `disputed_minor` of it is not
    payable yet; `payable_minor` is the rest, or 0 where that is negative, and what is not payable
    is carried forward. `lines_digest` is the SHA-256 of `<sequence> <hash>` and a line feed for the
    fact of each line; the first and the last of their sequences are 0 where there are none.
    """

    statement_id: str
    payee_id: str
    period: str
    currency: str
    opening_minor: int
    accrued_minor: int
    reversed_minor: int
    adjustments_minor: int
    balance_minor: int
    disputed_minor: int
    payable_minor: int
    carried_forward_minor: int
    lines: int
    first_sequence: int
    last_sequence: int
    lines_digest: str


class StatementClosed(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="fact",
    tag="statement_closed",
    forbid_unknown_fields=True,
):
    """A payee's statement of a month is sealed."""

    since: datetime
    until: datetime
    statement: Statement
    closed_by: str


MonthFact = MonthAttested | MonthClosed


class MonthState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a month was attested, as what, and whether it is closed."""

    attested: MonthAttested | None = None
    closed: bool = False


class StatementState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a statement is sealed."""

    closed: bool = False
