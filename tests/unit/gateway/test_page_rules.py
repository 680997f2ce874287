"""What pages work out by themselves: what can be asked, how long it took, what expires, costs."""

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import services.gateway.web
from contracts.types import DeploymentStatus
from services.gateway.events import CreditBundle, Settings
from services.gateway.web.buying import offered
from services.gateway.web.deployment import actions, shown_value, took
from services.gateway.web.looking import LOOKS_MAX, again_in
from services.gateway.web.projects import DRAWN_MAX, NO_PROJECT, OTHERS, figures

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("status", "last_build", "possible"),
    [
        ("QUEUED", "QUEUED", {"cancel"}),
        ("PROVISIONING", "PROVISIONING", {"cancel"}),
        ("UPDATING", "UPDATING", {"cancel"}),
        ("DESTROYING", "DESTROYING", {"cancel"}),
        ("SUCCESS", "SUCCESS", {"update", "destroy"}),
        ("SUCCESS", "FAILED", {"update", "destroy", "retry"}),
        ("SUCCESS", "CANCELLED", {"update", "destroy", "retry"}),
        ("FAILED", "FAILED", {"retry", "destroy"}),
        ("CANCELLED", "CANCELLED", {"retry", "destroy"}),
        ("TIMED_OUT", "TIMED_OUT", {"retry", "destroy"}),
        ("DESTROYED", "SUCCESS", NONE),
    ],
)
def test_only_what_the_status_allows_is_offered(
    status: DeploymentStatus, last_build: str, possible: set[str]
) -> None:
    assert actions({"status": status, "builds": [{"status": last_build}]}) == possible


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (65, "1 min 5 s"), (7_500, "2 h 5 min")],
)
def test_how_long_a_build_took_is_said_in_words(seconds: float, words: str) -> None:
    ended = NOW + timedelta(seconds=seconds)
    assert took(NOW.isoformat(), ended.isoformat()) == words
    assert took(NOW.isoformat(), None) is None


def test_a_text_is_shown_as_it_is_and_all_else_as_json() -> None:
    assert shown_value('a "b"') == 'a "b"'
    assert shown_value(None) == "null"
    assert shown_value(["ä"]) == '[\n  "ä"\n]'


@pytest.mark.parametrize(
    ("wanted", "price_minor", "bonus"),
    [(1, 100, 0), (500, 4_000, 50), (999_999, 99_999_900, 0), (0, None, 0), (1_000_000, None, 0)],
)
def test_what_is_sold_has_a_price_and_all_else_none(
    wanted: int, price_minor: int | None, bonus: int
) -> None:
    bundle = CreditBundle(credits=500, bonus=50, price_minor=4_000)
    found = offered(Settings(credit_bundles=(bundle,)), wanted)
    if price_minor is None:
        assert found is None
    else:
        price = {"amount_minor": price_minor, "currency": "USD"}
        assert found == {"credits": wanted, "bonus": bonus, "price": price}


def test_a_page_looks_ever_more_seldom_by_itself_and_then_no_more() -> None:
    waits = [again_in(look) or 0 for look in range(LOOKS_MAX)]
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert sum(waits) < timedelta(minutes=20).total_seconds()
    assert [again_in(look) for look in (LOOKS_MAX, LOOKS_MAX + 1)] == [None, None]


def test_no_page_asks_again_and_again_without_an_end() -> None:
    """What is told live is waited for; elsewhere `again_in` says when to look, and how often."""
    folder = Path(services.gateway.web.__file__).parent
    files = [*folder.glob("templates/*.html"), *folder.glob("static/*.js")]
    assert len(files) > 40
    asking = [each.name for each in files if re.search(r"every \d|setInterval", each.read_text())]
    assert asking == []


def cost(project: str | None, **months: int) -> Any:
    by_month = [{"month": month, "credits": spent} for month, spent in months.items()]
    return {"project": project, "credits": sum(months.values()), "by_month": by_month}


def test_the_dearest_projects_are_drawn_each_and_all_others_as_one() -> None:
    costs = [cost(f"p{number}", jan=number, feb=1) for number in range(DRAWN_MAX + 2)]
    drawn = figures([*costs, cost(None, feb=100)], ["jan", "feb"])
    assert [each["name"] for each in drawn["series"]] == [
        *(NO_PROJECT, "p6", "p5", "p4", "p3"),
        OTHERS,
    ]
    assert drawn["series"][0]["values"] == [0, 100]
    assert drawn["series"][-1]["values"] == [0 + 1 + 2, 3]
    total = sum(sum(each["values"]) for each in drawn["series"])
    assert total == sum(each["credits"] for each in costs) + 100


def test_no_page_puts_what_was_sent_into_a_path_of_the_api_unchecked() -> None:
    """`Api.at` does, which takes ids only; a page's own words may stand beside its `{{}}`."""
    pages = list(Path(services.gateway.web.__file__).parent.glob("*.py"))
    assert len(pages) > 30
    for page in pages:
        for node in ast.walk(ast.parse(page.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values
            )
            begins = text.partition("\0")[0]
            assert not begins.startswith("/api/") or "{}" in begins, f"{page.name}: {text}"
