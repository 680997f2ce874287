"""What a statement comes to, and when a month may be closed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.revenue.events import LedgerEntry
from services.revenue.month_facts import Applied, MonthAttested, MonthState
from services.revenue.months import (
    PAYEES_MAX,
    Examined,
    PayeeFigures,
    Reason,
    bounds,
    decide_attested,
    decide_close,
    evolve_month,
    reasons,
    statement_of,
)


def applied(*, settled: int = 2, recognized: int = 3_000, reversed_: int = 0) -> Applied:
    return Applied(
        facts={"hold_settled": settled}, recognized_minor=recognized, reversed_minor=reversed_
    )


ATTESTED = MonthAttested(
    period="2026-05",
    since=datetime(2026, 5, 1, tzinfo=UTC),
    until=datetime(2026, 6, 1, tzinfo=UTC),
    ledger=applied(),
    head="sha256:00",
    entry=LedgerEntry(message_id="message-1", stream="period-2026-05", sequence=1),
)
KNOWN = MonthState(attested=ATTESTED)
CLOSED = MonthState(attested=ATTESTED, closed=True)
PIA = PayeeFigures(
    payee_id="pia",
    currency="USD",
    before_minor=500,
    paid_minor=400,
    opening_minor=100,
    accrued_minor=900,
    reversed_minor=-50,
    adjustments_minor=-30,
    disputed_minor=0,
    lines=3,
    first_sequence=4,
    last_sequence=6,
    lines_digest="sha256:00",
)
FITS = Examined(period="2026-05", applied=applied(), payees=(PIA,), verified_facts=9)
amounts = st.integers(-10_000, 10_000)


def test_what_was_attested_applied_and_balanced_may_be_closed() -> None:
    assert reasons(FITS, KNOWN) == []
    closed = decide_close(FITS, [statement_of(PIA, "2026-05")], KNOWN, closed_by="fred")
    assert (closed.statements, closed.payable_minor, closed.applied) == (1, 920, applied())
    assert evolve_month(KNOWN, closed) == CLOSED


@pytest.mark.parametrize(
    ("change", "state", "codes"),
    [
        ({}, MonthState(), ["NOT_ATTESTED"]),
        ({}, CLOSED, ["ALREADY_CLOSED"]),
        ({"open_before": ("2026-03", "2026-04")}, KNOWN, ["EARLIER_MONTH_OPEN"] * 2),
        ({"waiting": 1}, KNOWN, ["MESSAGES_WAIT"]),
        ({"applied": applied(settled=1)}, KNOWN, ["FACTS_DIFFER"]),
        ({"applied": applied(settled=3)}, KNOWN, ["FACTS_DIFFER"]),
        ({"applied": applied(recognized=2_999)}, KNOWN, ["AMOUNTS_DIFFER"]),
        ({"applied": applied(reversed_=1)}, KNOWN, ["AMOUNTS_DIFFER"]),
        ({"misfits": (Reason("CHAIN_BROKEN", "x"),)}, KNOWN, ["CHAIN_BROKEN"]),
        ({"payees": (replace(PIA, before_minor=499),)}, KNOWN, ["BALANCES_DIFFER"]),
        ({"payees": (PIA,) * (PAYEES_MAX + 1)}, KNOWN, ["TOO_MANY_PAYEES"]),
        ({"waiting": 1, "applied": applied(settled=1)}, KNOWN, ["MESSAGES_WAIT", "FACTS_DIFFER"]),
    ],
)
def test_all_that_stands_in_the_way_is_told(
    change: dict[str, Any], state: MonthState, codes: list[str]
) -> None:
    examined = replace(FITS, **change)
    assert [reason.code for reason in reasons(examined, state)] == codes
    with pytest.raises(ValueError, match="cannot be closed"):
        decide_close(examined, [], state, closed_by="fred")


@pytest.mark.parametrize(
    ("change", "balance", "payable", "carried"),
    [
        ({}, 920, 920, 0),
        ({"disputed_minor": 200}, 920, 720, 200),
        ({"disputed_minor": 5_000}, 920, 0, 920),
        ({"disputed_minor": -5}, 920, 920, 0),
        ({"adjustments_minor": -2_000}, -1_050, 0, -1_050),
        ({"adjustments_minor": -2_000, "disputed_minor": 10}, -1_050, 0, -1_050),
    ],
)
def test_what_is_due_is_the_balance_without_what_is_disputed(
    change: dict[str, Any], balance: int, payable: int, carried: int
) -> None:
    statement = statement_of(replace(PIA, **change), "2026-05")
    found = (statement.balance_minor, statement.payable_minor, statement.carried_forward_minor)
    assert found == (balance, payable, carried)


@given(amounts, amounts, amounts, amounts, amounts)
def test_nothing_is_lost_between_statements(
    opening: int, accrued: int, taken: int, earlier: int, disputed: int
) -> None:
    """What comes in is paid or carried on, and nobody is ever asked to pay."""
    statement = statement_of(
        replace(
            PIA,
            opening_minor=opening,
            accrued_minor=accrued,
            reversed_minor=taken,
            adjustments_minor=earlier,
            disputed_minor=disputed,
        ),
        "2026-05",
    )
    assert statement.payable_minor >= 0
    assert statement.payable_minor + statement.carried_forward_minor == (
        opening + accrued + taken + earlier
    )


def test_a_month_is_attested_once() -> None:
    assert decide_attested(ATTESTED, MonthState()) == [ATTESTED]
    assert decide_attested(ATTESTED, KNOWN) == []


@given(st.integers(1, 9_998), st.integers(1, 12))
def test_months_are_half_open_and_touch(year: int, number: int) -> None:
    since, until = bounds(f"{year:04d}-{number:02d}")
    assert (since.day, until.day, since.tzinfo) == (1, 1, UTC)
    assert 28 <= (until - since).days <= 31
    assert bounds(f"{until.year:04d}-{until.month:02d}")[0] == until
