"""Secrets that come encoded, late, or in pieces."""

from base64 import b64encode
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.deployer.runner.log_file import HIDDEN, Pieces, Redactor

SECRET = "swordfish"
AROUND = st.text(st.characters(codec="utf-8", exclude_characters="\n"))


@given(st.binary(max_size=5), st.text(st.characters(codec="ascii", categories=("L", "N"))),
       st.binary(max_size=5))  # fmt: skip
def test_a_secret_in_base64_is_hidden_wherever_it_stands_there(
    before: bytes, more: str, after: bytes
) -> None:
    secret = f"{SECRET}{more}"
    shown = Redactor([secret]).clean(b64encode(before + secret.encode() + after).decode())
    assert HIDDEN in shown
    assert max(len(part) for part in shown.split(HIDDEN)) <= 10


def test_a_long_secret_is_hidden_as_the_program_base64_wraps_it() -> None:
    secret = "".join(chr(97 + i % 26) for i in range(200))
    encoded = b64encode(secret.encode()).decode()
    for width in (64, 76):
        lines = "\n".join(encoded[i : i + width] for i in range(0, len(encoded), width))
        shown = Redactor([secret]).clean(lines).splitlines()
        assert [line for line in shown if not line.startswith(HIDDEN)] == []


def test_what_is_learned_later_is_hidden_from_then_on() -> None:
    redactor = Redactor([SECRET])
    redactor.add(["hammerhead", "abc"])
    assert redactor.clean(f"{SECRET} hammerhead abc") == f"{HIDDEN} {HIDDEN} abc"


@given(st.lists(st.integers(1, 8), max_size=4), AROUND)
def test_a_secret_in_pieces_is_hidden_wherever_it_is_cut(cuts: list[int], around: str) -> None:
    pieces = Pieces(Redactor([SECRET]))
    text = f"{around}{SECRET}{around}"
    places = sorted({0, len(text), *(len(around) + cut for cut in cuts)})
    shown = [t for start, end in pairwise(places) for t in pieces.take("x", "", text[start:end])]
    shown += pieces.end()
    assert SECRET not in "".join(shown).replace(HIDDEN, "")
    assert HIDDEN in "".join(shown)


def test_nothing_but_what_may_begin_one_is_held_back() -> None:
    pieces = Pieces(Redactor([SECRET]))
    assert pieces.take("x", "x: ", "hello s") == ["x: hello s"]
    assert pieces.take("x", "x: ", "a sword") == []
    assert pieces.take("y", "y: ", "fish") == ["y: fish"]
    assert pieces.take("x", "x: ", " of iron") == ["x: a sword of iron"]


def test_what_was_held_back_is_shown_without_the_beginning_when_no_more_comes() -> None:
    pieces = Pieces(Redactor([SECRET]))
    assert pieces.take("x", "x: ", "a swordf") == []
    assert pieces.end() == [f"x: a {HIDDEN}"]
    assert pieces.end() == []
