"""JSON is read strictly, where readers of JSON differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.http.json_bytes import BadJsonError, json_bytes, read_json

UNREADABLE = [
    ("nothing", b"", "not JSON"),
    ("an object that does not end", b'{"a": 1', "not JSON"),
    ("a form", b"credits=5", "not JSON"),
    ("two values", b"1 2", "not JSON"),
    ("a comma too many", b"[1,]", "not JSON"),
    ("bytes that are no UTF-8", b'"\xff"', "UTF-8"),
    ("a number that is none", b'{"a": NaN}', "NaN"),
    ("a number without end", b"[-Infinity]", "Infinity"),
    ("a number that is too large", b"1e400", "too large"),
    ("an integer that is too long", b"9" * 5_000, "too large"),
    ("a name twice", b'{"credits": 1, "credits": 1000}', "twice"),
    ("a name twice, further in", b'{"a": [{"b": 1, "b": 2}]}', "twice"),
    ("a NUL", rb'{"a": "\u0000"}', r"U\+0000"),
    ("a NUL in a name", rb'{"\u0000": 1}', r"U\+0000"),
    ("half a pair", rb'["\ud800"]', "surrogate"),
    ("great depth", b"[" * 41 + b"]" * 41, "deeper"),
    ("bottomless depth", b"[" * 100_000, "deeper|not JSON"),
]


@pytest.mark.parametrize(("what", "body", "why"), UNREADABLE, ids=[u[0] for u in UNREADABLE])
def test_what_is_no_json_is_refused(what: str, body: bytes, why: str) -> None:
    with pytest.raises(BadJsonError, match=why):
        read_json(body)


def test_what_is_as_deep_as_allowed_is_read() -> None:
    assert read_json(b"[" * 40 + b"]" * 40)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_we_write_we_read(value: object) -> None:
    assert read_json(json_bytes(value)) == value
