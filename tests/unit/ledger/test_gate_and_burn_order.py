"""Who may deploy, at what cost, and which credits go first: rules L3 to L7."""

import pytest

from tests.unit.ledger.book import (
    CREDITS_OFF,
    OWNER,
    Row,
    award,
    days,
    hold,
    purchase,
    release,
    spend,
    with_settings,
)

GATE = (
    Row(
        "L3 a wallet whose credits all together cover the cost may deploy",
        (award("a", 30), purchase("p", 20, 2_000)),
        hold("d1", 50),
        ("hold_placed d1 a[0:30] p[0:20]",),
    ),
    Row(
        "L3 one credit less is too little",
        (award("a", 30), purchase("p", 19, 1_900)),
        hold("d1", 50),
        ("hold_refused d1 INSUFFICIENT_TOTAL_CREDITS 50 of 49",),
    ),
    Row(
        "L3 an empty wallet may deploy what costs nothing",
        (),
        hold("d1", 0),
        ("hold_placed d1",),
    ),
    Row(
        "L3 held credits are not available",
        (award("a", 30), hold("d1", 20)),
        hold("d2", 20),
        ("hold_refused d2 INSUFFICIENT_TOTAL_CREDITS 20 of 10",),
    ),
    Row(
        "L4 a premium module takes purchased credits, however many awarded ones there are",
        (award("a", 1_000), purchase("p", 50, 5_000)),
        hold("d1", 50, premium=True),
        ("hold_placed d1 p[0:50]",),
    ),
    Row(
        "L4 awarded credits do not help with a premium module",
        (award("a", 1_000), purchase("p", 49, 4_900)),
        hold("d1", 50, premium=True),
        ("hold_refused d1 INSUFFICIENT_PURCHASED_CREDITS 50 of 49",),
    ),
    Row(
        "L4 however they were awarded",
        (award("a", 50, kind="award.referral"),),
        hold("d1", 50, premium=True),
        ("hold_refused d1 INSUFFICIENT_PURCHASED_CREDITS 50 of 0",),
    ),
    Row(
        "L3 is asked before L4",
        (award("a", 10),),
        hold("d1", 50, premium=True),
        ("hold_refused d1 INSUFFICIENT_TOTAL_CREDITS 50 of 10",),
    ),
    Row(
        "L5 a partner deploys a module of their own for nothing, with an empty wallet",
        (),
        hold("d1", 50, partner_id=OWNER),
        ("hold_placed d1",),
    ),
    Row(
        "L5 and L4 is bypassed",
        (award("a", 10),),
        hold("d1", 50, premium=True, partner_id=OWNER),
        ("hold_placed d1",),
    ),
    Row(
        "L5 another partner's module costs",
        (award("a", 60),),
        hold("d1", 50, partner_id="somebody"),
        ("hold_placed d1 a[0:50]",),
    ),
    Row(
        "L6 with credits switched off everything is free, premium modules too",
        (),
        hold("d1", 50, premium=True),
        ("hold_placed d1",),
        CREDITS_OFF,
    ),
    Row(
        "L6 switched on again it costs again",
        (hold("d1", 50), with_settings(credits_enabled=True)),
        hold("d2", 50),
        ("hold_refused d2 INSUFFICIENT_TOTAL_CREDITS 50 of 0",),
        CREDITS_OFF,
    ),
)

BURN_ORDER = (
    Row(
        "L7 awarded credits go before purchased ones, whichever came first",
        (purchase("p", 50, 5_000), award("a", 30)),
        hold("d1", 40),
        ("hold_placed d1 a[0:30] p[0:10]",),
    ),
    Row(
        "L7 the earliest expiry goes first",
        (award("late", 10, days_to_live=9), award("soon", 10, days_to_live=3)),
        hold("d1", 15),
        ("hold_placed d1 soon[0:10] late[0:5]",),
    ),
    Row(
        "L7 what never expires goes last",
        (award("never", 10), award("late", 10, days_to_live=9_999)),
        hold("d1", 15),
        ("hold_placed d1 late[0:10] never[0:5]",),
    ),
    Row(
        "L7 with one expiry what was granted first goes first",
        (award("first", 10, days_to_live=9), days(1), award("second", 10, days_to_live=8)),
        hold("d1", 15),
        ("hold_placed d1 first[0:10] second[0:5]",),
    ),
    Row(
        "L7 granted at one instant, the position in the wallet decides",
        (purchase("z", 10, 1), purchase("a", 10, 1)),
        hold("d1", 15),
        ("hold_placed d1 z[0:10] a[0:5]",),
    ),
    Row(
        "L7 within a lot the lowest free range goes first",
        (purchase("p", 100, 1), hold("d1", 10), hold("d2", 10), release("d1")),
        hold("d3", 15),
        ("hold_placed d3 p[0:10] p[20:25]",),
    ),
    Row(
        "L7 ranges that come back are joined to their neighbours",
        (purchase("p", 30, 1), hold("d1", 10), hold("d2", 10), release("d2"), release("d1")),
        hold("d3", 30),
        ("hold_placed d3 p[0:30]",),
    ),
    Row(
        "L7 a premium spend leaves the awarded lots alone",
        (award("a", 10), spend("d1", 0), purchase("p", 10, 1), spend("d2", 5, premium=True)),
        hold("d3", 15),
        ("hold_placed d3 a[0:10] p[5:10]",),
    ),
    Row(
        "L7 every command first expires the lots that are due",
        (award("a", 10, days_to_live=1), purchase("p", 10, 1), days(1)),
        hold("d1", 5),
        ("credits_expired a[0:10]", "hold_placed d1 p[0:5]"),
    ),
    Row(
        "L7 a refused hold has expired what was due as well",
        (award("a", 10, days_to_live=1), days(1)),
        hold("d1", 5),
        ("credits_expired a[0:10]", "hold_refused d1 INSUFFICIENT_TOTAL_CREDITS 5 of 0"),
    ),
)


@pytest.mark.parametrize("row", (*GATE, *BURN_ORDER), ids=lambda row: row.claim)
def test_rule(row: Row) -> None:
    row.check()
