"""Logs go onto the bus in pieces that a message can hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.deployer.logs import CHUNK_BYTES_MAX
from services.deployer.log_relay import pieces

TEXTS = st.builds(
    lambda text, times: text * times, st.text("aé€😀\n", max_size=20), st.integers(1, 9_000)
)


@given(st.integers(0, 2**40), TEXTS, st.booleans())
def test_the_pieces_are_the_whole_each_at_its_byte(offset: int, text: str, final: bool) -> None:
    found = pieces(offset, text, final=final)
    assert "".join(piece for _, piece, _ in found) == text
    for place, piece, _ in found:
        assert place == offset
        assert len(piece.encode()) <= CHUNK_BYTES_MAX
        offset += len(piece.encode())


@given(TEXTS, st.booleans())
def test_only_the_last_piece_of_a_final_text_is_final(text: str, final: bool) -> None:
    marks = [mark for _, _, mark in pieces(0, text, final=final)]
    assert marks == [False] * (len(marks) - 1) + [final]


@pytest.mark.parametrize("final", [True, False])
def test_nothing_is_one_empty_piece(final: bool) -> None:
    assert pieces(7, "", final=final) == [(7, "", final)]
