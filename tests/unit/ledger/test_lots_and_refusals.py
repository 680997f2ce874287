"""What comes in and is taken away, and the order in which refusals win: rules L1 and L10."""

import pytest

from tests.unit.ledger.book import (
    OWNER,
    Row,
    adjust,
    award,
    days,
    hold,
    purchase,
    spend,
    with_settings,
)

MAX = 2**53 - 1

ENTRIES = (
    Row(
        "L10 a deduction takes available credits in burn order",
        (purchase("p", 10, 1), award("a", 10)),
        adjust(15),
        ("credits_adjusted a[0:10] p[0:5]",),
    ),
    Row(
        "L10 it takes no held credits",
        (award("a", 10), hold("d1", 8)),
        adjust(3),
        ("refused INSUFFICIENT_TOTAL_CREDITS",),
    ),
    Row(
        "L10 nor expired ones, and then nothing changes",
        (award("a", 10, days_to_live=1), days(1)),
        adjust(3),
        ("refused INSUFFICIENT_TOTAL_CREDITS",),
    ),
    Row(
        "L10 an award comes in as a lot",
        (),
        award("a", 10, kind="award.signup"),
        ("credits_awarded a 10",),
    ),
    Row(
        "L10 the same award is given once",
        (award("a", 10),),
        award("a", 10),
        (),
    ),
    Row(
        "L1 the same purchase is booked once",
        (purchase("p", 10, 1_000),),
        purchase("p", 10, 1_000),
        (),
    ),
    Row(
        "L1 a purchase may have cost nothing",
        (),
        purchase("p", 10, 0),
        ("credits_purchased p 10",),
    ),
)

REFUSALS = (
    Row("nobody awards themselves", (), award("a", 10, awarded_by=OWNER), ("refused SELF_AWARD",)),
    Row(
        "nobody records a purchase of their own",
        (),
        purchase("p", 10, 1, recorded_by=OWNER),
        ("refused SELF_AWARD",),
    ),
    Row(
        "nobody adjusts their own credits",
        (award("a", 10),),
        adjust(1, adjusted_by=OWNER),
        ("refused SELF_AWARD",),
    ),
    Row(
        "that is said before anything else is",
        (),
        award("a", 0, awarded_by=OWNER, days_to_live=-1),
        ("refused SELF_AWARD",),
    ),
    Row("no credits", (), award("a", 0), ("refused INVALID_CREDITS",)),
    Row("fewer than none", (), award("a", -5), ("refused INVALID_CREDITS",)),
    Row("more than is countable", (), award("a", 2**63), ("refused INVALID_CREDITS",)),
    Row("no purchased credits", (), purchase("p", 0, 100), ("refused INVALID_CREDITS",)),
    Row("a deduction of nothing", (award("a", 1),), adjust(0), ("refused INVALID_CREDITS",)),
    Row("a negative deduction", (award("a", 1),), adjust(-1), ("refused INVALID_CREDITS",)),
    Row(
        "the number is checked before the expiry",
        (),
        award("a", 0, days_to_live=-1),
        ("refused INVALID_CREDITS",),
    ),
    Row(
        "a lot that has expired already",
        (),
        award("a", 10, days_to_live=-1),
        ("refused EXPIRES_IN_THE_PAST",),
    ),
    Row(
        "a lot that expires this instant",
        (),
        award("a", 10, days_to_live=0),
        ("refused EXPIRES_IN_THE_PAST",),
    ),
    Row("a negative price", (), purchase("p", 10, -1), ("refused INVALID_PRICE",)),
    Row(
        "the price is checked before the currency",
        (),
        purchase("p", 10, 2**60, currency="EUR"),
        ("refused INVALID_PRICE",),
    ),
    Row(
        "another currency than the platform's",
        (),
        purchase("p", 10, 1_000, currency="EUR"),
        ("refused CURRENCY_MISMATCH",),
    ),
    Row(
        "another currency than the wallet's lots are priced in",
        (purchase("p", 10, 1_000), spend("d1", 10), with_settings(currency="EUR")),
        purchase("q", 10, 1_000, currency="EUR"),
        ("refused CURRENCY_MISMATCH",),
    ),
    Row(
        "more credits than a wallet can count",
        (award("a", MAX),),
        purchase("p", 1, 1),
        ("refused BALANCE_TOO_LARGE",),
    ),
    Row(
        "who asks is looked at before how many credits are bought",
        (),
        purchase("p", 0, -1, recorded_by=OWNER, currency="EUR"),
        ("refused SELF_AWARD",),
    ),
    Row(
        "and before how many are taken away",
        (),
        adjust(0, adjusted_by=OWNER),
        ("refused SELF_AWARD",),
    ),
    Row(
        "the number is checked before the price",
        (),
        purchase("p", 2**63, -1, currency="EUR"),
        ("refused INVALID_CREDITS",),
    ),
    Row(
        "a price of 2^63",
        (),
        purchase("p", 10, 2**63),
        ("refused INVALID_PRICE",),
    ),
    Row(
        "the currency is checked before there is too much",
        (award("a", MAX),),
        purchase("p", 10, 1, currency="EUR"),
        ("refused CURRENCY_MISMATCH",),
    ),
    Row(
        "the expiry is checked before there is too much",
        (award("a", MAX),),
        award("b", 10, days_to_live=-1),
        ("refused EXPIRES_IN_THE_PAST",),
    ),
    Row(
        "a deduction of 2^63 is no number, before it is too many",
        (),
        adjust(2**63),
        ("refused INVALID_CREDITS",),
    ),
    Row(
        "a deduction of more than there is",
        (award("a", 10),),
        adjust(11),
        ("refused INSUFFICIENT_TOTAL_CREDITS",),
    ),
)


@pytest.mark.parametrize("row", (*ENTRIES, *REFUSALS), ids=lambda row: row.claim)
def test_rule(row: Row) -> None:
    row.check()
