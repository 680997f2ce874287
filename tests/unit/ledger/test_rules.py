"""Rules L1 to L10 as a table: what was given, what is done, and the facts that it brings."""

import pytest

from tests.unit.ledger.book import (
    CREDITS_OFF,
    OWNER,
    Row,
    adjust,
    award,
    days,
    expire,
    hold,
    purchase,
    release,
    settle,
    spend,
    with_settings,
)

MAX = 2**53 - 1

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

HOLDS = (
    Row(
        "L8 success settles exactly the slices that were held",
        (award("a", 10, days_to_live=9), hold("d1", 5), award("b", 10, days_to_live=1)),
        settle("d1"),
        ("hold_settled d1 a[0:5]",),
    ),
    Row(
        "L8 failure gives exactly the slices back that were held",
        (award("a", 10), purchase("p", 10, 1), hold("d1", 15)),
        release("d1"),
        ("hold_released d1 a[0:10] p[0:5]",),
    ),
    Row(
        "L8 a repeated request for a hold brings nothing",
        (award("a", 10), hold("d1", 5)),
        hold("d1", 5),
        (),
    ),
    Row(
        "L8 nor does one that was refused before",
        (hold("d1", 5), award("a", 10)),
        hold("d1", 5),
        (),
    ),
    Row(
        "L8 a hold is settled once",
        (award("a", 10), spend("d1", 5)),
        settle("d1"),
        (),
    ),
    Row(
        "L8 a hold is released once",
        (award("a", 10), hold("d1", 5), release("d1")),
        release("d1"),
        (),
    ),
    Row(
        "L8 what was released cannot be settled",
        (award("a", 10), hold("d1", 5), release("d1")),
        settle("d1"),
        ("refused HOLD_ALREADY_RELEASED",),
    ),
    Row(
        "L8 what was settled cannot be released",
        (award("a", 10), spend("d1", 5)),
        release("d1"),
        ("refused HOLD_ALREADY_SETTLED",),
    ),
    Row(
        "L8 what was never asked for cannot be settled",
        (award("a", 10),),
        settle("d1"),
        ("refused UNKNOWN_HOLD",),
    ),
    Row(
        "L8 nor released",
        (award("a", 10),),
        release("d1"),
        ("refused UNKNOWN_HOLD",),
    ),
    Row(
        "L8 what was refused cannot be settled",
        (hold("d1", 5),),
        settle("d1"),
        ("refused HOLD_WAS_REFUSED",),
    ),
    Row(
        "L8 of what was refused there is nothing to release",
        (hold("d1", 5),),
        release("d1"),
        (),
    ),
    Row(
        "L8 a retry is a new hold, and may pass once the first is released",
        (award("a", 10), hold("h1", 5, deployment_id="d"), release("h1", deployment_id="d")),
        hold("h2", 5, deployment_id="d"),
        ("hold_placed h2 a[0:5]",),
    ),
    Row(
        "L8 a deployment has one open hold at most",
        (award("a", 10), hold("h1", 5, deployment_id="d")),
        hold("h2", 5, deployment_id="d"),
        ("refused DEPLOYMENT_ALREADY_HELD",),
    ),
    Row(
        "L8 a deployment is paid for once",
        (award("a", 10), hold("h1", 5, deployment_id="d"), settle("h1", deployment_id="d")),
        hold("h2", 5, deployment_id="d"),
        ("refused DEPLOYMENT_ALREADY_SETTLED",),
    ),
    Row(
        "L8 a request that comes at its time limit is refused",
        (award("a", 10),),
        hold("d1", 5, days_to_live=0),
        ("hold_refused d1 HOLD_REQUEST_EXPIRED 5 of 10",),
    ),
    Row(
        "L8 that is said before that it could not be paid",
        (),
        hold("d1", 5, days_to_live=-1),
        ("hold_refused d1 HOLD_REQUEST_EXPIRED 5 of 0",),
    ),
    Row(
        "L8 even of a module of one's own",
        (),
        hold("d1", 5, partner_id=OWNER, days_to_live=0),
        ("hold_refused d1 HOLD_REQUEST_EXPIRED 0 of 0",),
    ),
)

EXPIRY = (
    Row(
        "L9 what is free of a lot expires at its instant",
        (award("a", 10, days_to_live=1), days(1)),
        expire(),
        ("credits_expired a[0:10]",),
    ),
    Row(
        "L9 and not before",
        (award("a", 10, days_to_live=1), days(0.999)),
        expire(),
        (),
    ),
    Row(
        "L9 once",
        (award("a", 10, days_to_live=1), days(1), expire()),
        expire(),
        (),
    ),
    Row(
        "L9 a held slice cannot expire",
        (award("a", 10, days_to_live=1), hold("d1", 4), days(1)),
        expire(),
        ("credits_expired a[4:10]",),
    ),
    Row(
        "L9 it can be spent after its lot's expiry",
        (award("a", 10, days_to_live=1), hold("d1", 4), days(1), expire()),
        settle("d1"),
        ("hold_settled d1 a[0:4]",),
    ),
    Row(
        "L9 released after its lot's expiry it expires then, by its own fact",
        (award("a", 10, days_to_live=1), hold("d1", 4), days(1), expire()),
        release("d1"),
        ("hold_released d1 a[0:4]", "credits_expired a[0:4]"),
    ),
    Row(
        "L9 what is due besides expires before that",
        (award("a", 10, days_to_live=1), hold("d1", 4), days(1)),
        release("d1"),
        ("credits_expired a[4:10]", "hold_released d1 a[0:4]", "credits_expired a[0:4]"),
    ),
    Row(
        "L9 each free range of a lot is named",
        (
            award("a", 10, days_to_live=1),
            hold("d1", 3),
            hold("d2", 3),
            release("d1"),
            days(1),
        ),
        expire(),
        ("credits_expired a[0:3] a[6:10]",),
    ),
    Row(
        "L9 purchased credits never expire",
        (purchase("p", 10, 1), days(9_999)),
        expire(),
        (),
    ),
)

ADJUSTMENTS = (
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

ALL = (*GATE, *BURN_ORDER, *HOLDS, *EXPIRY, *ADJUSTMENTS)


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.claim)
def test_rule(row: Row) -> None:
    row.check()


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
        "a deduction of more than there is",
        (award("a", 10),),
        adjust(11),
        ("refused INSUFFICIENT_TOTAL_CREDITS",),
    ),
)


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.claim)
def test_refusal(row: Row) -> None:
    row.check()
