"""The pure parts of the API: cursors, percentages, problems, tags, limits, events, addresses."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.refusal import Refusal
from services.gateway.credentials import Principal
from services.gateway.feed import FeedEvent
from services.gateway.http.cursors import TIME_AND_ID, Cursors
from services.gateway.http.door import behind_proxies
from services.gateway.http.events import may_see
from services.gateway.http.parameters import period
from services.gateway.http.percentages import basis_points, percentage
from services.gateway.http.problems import (
    CODES,
    ProblemError,
    input_error,
    kind_of,
    pointer_to,
    problem_body,
)
from services.gateway.http.rate_limits import BUCKETS_MAX, RateLimits
from services.gateway.http.route import etag_of, matches
from services.gateway.http.sse import event_bytes
from services.gateway.identity import check_email, check_name, check_password
from services.gateway.repositories import check_repository
from services.gateway.settings import networks_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CURSORS = Cursors(b"k" * 32)


def test_a_cursor_is_good_for_the_list_that_it_is_of() -> None:
    cursor = CURSORS.write({"list": "users", "search": "ada"}, (NOON, "u-1"))

    assert CURSORS.read({"search": "ada", "list": "users"}, cursor, TIME_AND_ID) == (NOON, "u-1")
    assert CURSORS.read({"list": "users"}, None, TIME_AND_ID) is None


FORGED: list[tuple[str, dict[str, Any], Any]] = [
    ("of another filter", {"list": "users", "search": "bob"}, lambda c: c),
    ("of another list", {"list": "lots"}, lambda c: c),
    (
        "changed at its end",
        {"list": "users"},
        lambda c: c[:-2] + ("AA" if c[-2:] != "AA" else "BB"),
    ),
    (
        "changed at its beginning",
        {"list": "users"},
        lambda c: ("A" if c[0] != "A" else "B") + c[1:],
    ),
    ("cut off", {"list": "users"}, lambda c: c[:10]),
    ("no base64", {"list": "users"}, lambda _: "ä§"),
    ("empty", {"list": "users"}, lambda _: ""),
    ("very long", {"list": "users"}, lambda c: c * 100),
]


@pytest.mark.parametrize(("what", "scope", "forge"), FORGED, ids=[f[0] for f in FORGED])
def test_a_cursor_of_another_kind_is_refused(what: str, scope: dict[str, Any], forge: Any) -> None:
    cursor = CURSORS.write({"list": "users"}, (NOON, "u-1"))

    with pytest.raises(ProblemError) as refused:
        CURSORS.read(scope, forge(cursor), TIME_AND_ID)

    assert refused.value.code == "INVALID_CURSOR"


def test_another_gateways_cursor_is_refused() -> None:
    with pytest.raises(ProblemError):
        CURSORS.read({}, Cursors(b"x" * 32).write({}, (NOON, "a")), TIME_AND_ID)


@given(st.integers(0, 10_000))
def test_a_percentage_is_read_as_it_was_written(points: int) -> None:
    assert basis_points(percentage(points)) == points


@pytest.mark.parametrize(
    "text", ["", "30,00", "-1", "+1", "100.01", "1000", "30.123", ".5", "1e1", "30 ", "٣٠", "NaN"]
)
def test_what_is_no_percentage_to_two_places_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"percentage|more than"):
        basis_points(text)


def test_short_forms_of_percentages_are_read() -> None:
    assert [basis_points(text) for text in ("0", "7", "7.5", "100", "100.0")] == [
        0,
        700,
        750,
        10_000,
        10_000,
    ]


def test_every_code_is_upper_snake_and_an_error() -> None:
    assert all(code == code.upper() and " " not in code for code in CODES)
    assert all(400 <= status < 600 and title for status, title in CODES.values())


def test_a_code_that_another_service_refuses_with_is_a_conflict() -> None:
    assert kind_of("BUILD_LOST") == (409, "Build lost")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("EXPIRES_IN_THE_PAST", 422),
        ("CURRENCY_MISMATCH", 422),
        ("UNKNOWN_USER", 422),
        ("SELF_AWARD", 403),
        ("INSUFFICIENT_TOTAL_CREDITS", 402),
        ("INSUFFICIENT_PURCHASED_CREDITS", 402),
        ("UNKNOWN_MODULE", 404),
        ("UNKNOWN_MODULE_VERSION", 404),
        ("UNKNOWN_DEPLOYMENT", 404),
        ("INVALID_VARIABLES", 422),
    ],
)
def test_what_others_refuse_that_is_no_conflict_is_none(code: str, status: int) -> None:
    assert kind_of(code)[0] == status


def test_a_member_never_takes_the_place_of_the_http_status() -> None:
    body = problem_body(
        "ILLEGAL_TRANSITION", "", request_id="r", members={"status": "FAILED", "required": 5}
    )

    assert (body["status"], body["current_status"], body["required"]) == (409, "FAILED", 5)
    assert body["type"] == "urn:tollgate:problem:illegal-transition"


def test_an_error_says_where_and_why_and_never_what() -> None:
    error = {
        "type": "int_type",
        "loc": ("body", "a/b", 0, "~"),
        "msg": "Input should be a valid integer",
        "input": "hush",
    }

    found = input_error(error)

    assert found == {
        "pointer": "/a~1b/0/~0",
        "message": "Input should be a valid integer",
        "code": "NOT_A_WHOLE_NUMBER",
    }
    assert input_error({**error, "loc": ("query", "limit")})["in"] == "query"
    assert pointer_to([]) == ""


def test_a_tag_is_found_in_a_list_weak_or_strong() -> None:
    tag = etag_of(b"{}")

    assert matches(f'"other", W/{tag}', tag)
    assert matches("*", tag)
    assert not matches('"other"', tag)
    assert not matches(None, tag)


def test_a_caller_who_spent_their_calls_waits() -> None:
    limits = RateLimits(per_second=1, burst=3)

    taken = [limits.take("ada") for _ in range(4)]

    assert [left for left, _ in taken] == [2, 1, 0, 0]
    assert [wait > 0 for _, wait in taken] == [False, False, False, True]
    assert limits.take("bob") == (2, 0.0)


def test_callers_are_forgotten_before_they_fill_the_memory() -> None:
    limits = RateLimits(per_second=1, burst=1)
    for number in range(BUCKETS_MAX + 50):
        limits.take(str(number))

    assert len(limits._buckets) == BUCKETS_MAX


def test_an_event_of_many_lines_is_one_event() -> None:
    written = event_bytes(kind="log", data="one\r\ntwo\rthree\n", event_id="7")

    assert written == b"id: 7\nevent: log\ndata: one\ndata: two\ndata: three\ndata: \n\n"


def principal(user_id: str, *roles: str) -> Principal:
    return Principal(user_id, frozenset(roles), "session", frozenset(), b"", NOON)


def event(user_id: str | None = None, *roles: str, everyone: bool = False) -> FeedEvent:
    return FeedEvent(1, "deployment", user_id, frozenset(roles), everyone, "{}")


SEEN: list[tuple[str, FeedEvent, Principal, bool]] = [
    ("one's own", event("ada", "admin"), principal("ada", "user"), True),
    ("somebody else's", event("bob", "admin"), principal("ada", "user"), False),
    ("somebody else's, by role", event("bob", "admin"), principal("ada", "admin"), True),
    ("by another role", event("bob", "admin"), principal("ada", "support"), False),
    ("everyone's", event(everyone=True), principal("ada"), True),
    ("nobody's", event(), principal("ada", "admin"), False),
]


@pytest.mark.parametrize(("what", "told", "asker", "seen"), SEEN, ids=[s[0] for s in SEEN])
def test_a_listener_is_told_what_they_may_see(
    what: str, told: FeedEvent, asker: Principal, seen: bool
) -> None:
    assert may_see(told, asker) is seen


def test_a_listener_may_leave_out_what_is_other_peoples() -> None:
    assert not may_see(event("bob", "admin"), principal("ada", "admin"), "mine")
    assert may_see(event("ada", "admin"), principal("ada", "admin"), "mine")


def test_a_date_is_a_whole_day_and_an_instant_is_itself() -> None:
    begin, end = period("2026-03-01", "2026-03-01")
    assert (begin, end) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))

    begin, end = period("2026-03-01T13:00:00+01:00", "2026-03-01t12:00:00.5z")
    assert (begin, end) == (NOON, NOON.replace(microsecond=500_000))
    assert period("2026-03-01T13:00:00 01:00", None) == (NOON, None)
    assert period(None, None) == (None, None)


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("9999-12-31", 9999),
        ("9999-12-31T23:59:59-14:00", 9999),
        ("0001-01-01T00:00:00+14:00", 1),
    ],
)
def test_what_is_beyond_all_time_is_its_end(text: str, year: int) -> None:
    _, end = period(None, text)

    assert end is not None
    assert (end.year, end.tzinfo) == (year, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-02-30",
        "2026-03-01T12:00:00",
        "1772366400",
        "0000-01-01",
        "2026-03-01T12:00:60Z",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        period(text, None)

    assert refused.value.errors[0]["pointer"] == "/from"


@pytest.mark.parametrize("email", ["ada@example.com", "a.b+c@sub.example.org", "ü@exämple.de"])
def test_addresses_that_are_taken(email: str) -> None:
    check_email(email)


@pytest.mark.parametrize(
    "email",
    ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c.de", "ada@example..com",
     "ada@-x.de\n", "<ada@example.com>", "ada\x00@example.com", "a" * 300 + "@example.com"],
)  # fmt: skip
def test_addresses_that_are_none(email: str) -> None:
    with pytest.raises(Refusal, match="INVALID_EMAIL"):
        check_email(email)


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "Ada@Example.com"])
def test_passwords_that_are_not_taken(password: str) -> None:
    with pytest.raises(Refusal, match="INVALID_PASSWORD"):
        check_password(password, "ada@example.com")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "x" * 201])
def test_names_that_are_not_taken(name: str) -> None:
    with pytest.raises(Refusal, match="INVALID_NAME"):
        check_name(name)


REPOSITORIES = [
    ("https://example.com/modules.git", False, True),
    ("https://example.com:8443/a/b", False, True),
    ("http://example.com/modules.git", False, False),
    ("http://127.0.0.1:80/modules.git", True, True),
    ("/srv/modules", False, False),
    ("/srv/modules", True, True),
    ("file:///srv/modules", True, True),
    ("file:///srv/modules", False, False),
    ("ext::sh -c id", True, False),
    ("ssh://git@example.com/x", True, False),
    ("https://token@example.com/x", True, False),
    ("https://user:token@example.com/x", False, False),
    ("https:///x", False, False),
    ("https://[::1/x", False, False),
    ("https://example.com/a b", False, False),
    ("", True, False),
]


@pytest.mark.parametrize(("url", "allow_local", "taken"), REPOSITORIES)
def test_repositories_are_read_by_https_and_without_credentials(
    url: str, allow_local: bool, taken: bool
) -> None:
    if taken:
        check_repository(url, None, allow_local=allow_local, pointer="/repository")
        return
    with pytest.raises(Refusal) as refused:
        check_repository(url, None, allow_local=allow_local, pointer="/repository")
    assert refused.value.fields["pointer"] == "/repository/url"
    assert "token" not in refused.value.detail.replace("the token has", "")


@pytest.mark.parametrize("branch", ["", "-x", "a..b", "a b", "main~1", "x" * 201])
def test_branches_that_are_no_names(branch: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_repository(None, branch, allow_local=True, pointer="/repository")

    assert refused.value.fields["pointer"] == "/repository/branch"


PROXIES = networks_of("10.0.0.0/8, fd00::/8")
PLACES = [
    ("203.0.113.7", [], "203.0.113.7"),
    ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
    ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["1.1.1.1", "198.51.100.1, 10.2.3.4"], "198.51.100.1"),
    ("10.0.0.1", ["10.2.3.4"], "10.2.3.4"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
    ("10.0.0.1", ["made up"], "made up"),
    ("unknown", ["198.51.100.1"], "unknown"),
]


@pytest.mark.parametrize(("peer", "forwarded", "place"), PLACES)
def test_only_trusted_proxies_say_where_a_call_comes_from(
    peer: str, forwarded: list[str], place: str
) -> None:
    assert behind_proxies(peer, forwarded, PROXIES) == place
