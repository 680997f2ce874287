"""How holds begin and end, and when credits do: rules L8 and L9."""

import pytest

from tests.unit.ledger.book import (
    OWNER,
    Row,
    award,
    days,
    expire,
    hold,
    purchase,
    release,
    settle,
    spend,
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


@pytest.mark.parametrize("row", (*HOLDS, *EXPIRY), ids=lambda row: row.claim)
def test_rule(row: Row) -> None:
    row.check()
