"""What builds print: cut into lines, cleaned, bounded, and read back whole."""

import json
import tempfile
from base64 import b64encode
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployer.runner.log_file import (
    CUT,
    FULL,
    HIDDEN,
    LINE_LENGTH_MAX,
    Lines,
    LogFile,
    Redactor,
)

TEXTS = st.text(st.characters(codec="utf-8"))


class TestRedactor:
    @pytest.mark.parametrize(
        ("secrets", "printed", "shown"),
        [
            (["swordfish"], "the token is swordfish.", f"the token is {HIDDEN}."),
            (["swordfish"], "swordfishswordfish", f"{HIDDEN}{HIDDEN}"),
            ([{"a": ["swordfish"]}], "it is swordfish", f"it is {HIDDEN}"),
            ([["one-secret", {"b": "two-secret"}]], "one-secret two-secret", f"{HIDDEN} {HIDDEN}"),
            (["first\nsecond"], "first\nand second", f"{HIDDEN}\nand {HIDDEN}"),
            (["first\r\nsecond"], "second", HIDDEN),
            (["first\nsecond"], r'{"key": "first\nsecond"}', f'{{"key": "{HIDDEN}"}}'),
            (["pass", "password"], "password", HIDDEN),
            (['say "hello"'], r'{"key": "say \"hello\""}', f'{{"key": "{HIDDEN}"}}'),
            (["a<b&c>d"], r"a\u003cb\u0026c\u003ed", HIDDEN),
            (["schlüssel"], r"schl\u00fcssel", HIDDEN),
            ([12345678], "pin 12345678", f"pin {HIDDEN}"),
            (["  padded  "], "padded", HIDDEN),
            (["swordfish"], "sword\x1b[1mfish", HIDDEN),
            (["swordfish"], "sword\x00fish", HIDDEN),
            (["a.c+d"], "abc+d a.c+d", f"abc+d {HIDDEN}"),
            (["swordfish"], b64encode(b"swordfish").decode(), HIDDEN),
            (["a/b c&d"], "https://x/?t=a%2Fb%20c%26d", f"https://x/?t={HIDDEN}"),
        ],
    )  # fmt: skip
    def test_a_secret_is_hidden_however_it_is_printed(
        self, secrets: list[Any], printed: str, shown: str
    ) -> None:
        assert Redactor(secrets).clean(printed) == shown

    @pytest.mark.parametrize("short", ["", "a", "abc", 1, 123, True, None, "\n\n", "ab\ncd"])
    def test_what_is_too_short_to_be_hidden_is_left(self, short: Any) -> None:
        assert Redactor([short]).clean("a abc 123 True ab cd") == "a abc 123 True ab cd"

    def test_colours_and_control_characters_are_removed(self) -> None:
        printed = "\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07 bell\x07 tab\tstays"
        assert Redactor([]).clean(printed) == "red link bell tab\tstays"

    def test_a_long_line_is_cut_with_a_mark(self) -> None:
        assert Redactor([]).clean("x" * (LINE_LENGTH_MAX + 1)) == "x" * LINE_LENGTH_MAX + CUT

    def test_a_secret_is_hidden_before_the_line_is_cut_in_the_middle_of_it(self) -> None:
        printed = "x" * (LINE_LENGTH_MAX - 5) + "swordfish"
        assert "sword" not in Redactor(["swordfish"]).clean(printed)

    @given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=4), TEXTS, TEXTS)
    def test_a_secret_is_never_shown(self, secret: str, before: str, after: str) -> None:
        shown = Redactor([secret]).clean(f"{before}{secret}{after}")
        assert secret not in shown.replace(HIDDEN, "")

    @given(TEXTS, st.lists(TEXTS, max_size=3))
    def test_what_is_shown_can_be_sent_and_kept(self, printed: str, secrets: list[str]) -> None:
        shown = Redactor(secrets).clean(printed)
        assert "\0" not in shown
        assert json.loads(json.dumps(shown)) == shown
        assert shown.encode().decode() == shown


def chunked(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return the data, cut at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def lines_of(chunks: list[bytes], length_max: int) -> list[str]:
    """Return all lines that come of chunks."""
    lines, found = Lines(length_max), list[str]()
    for chunk in chunks:
        found += lines.feed(chunk)
    return found + lines.end()


class TestLines:
    @given(
        st.lists(st.binary(max_size=20), max_size=10).map(b"\n".join),
        st.lists(st.integers(0, 500), max_size=20),
        st.integers(1, 12),
    )
    def test_any_chunks_give_the_same_lines(
        self, data: bytes, cuts: list[int], length_max: int
    ) -> None:
        *whole, rest = data.split(b"\n")
        expected = [
            line[:length_max].decode(errors="replace").rstrip("\r")
            for line in [*whole, *([rest] if rest else [])]
        ]
        assert lines_of(chunked(data, cuts), length_max) == expected

    def test_a_character_that_comes_in_two_chunks_is_one(self) -> None:
        euro = "€".encode()
        assert lines_of([euro[:1], euro[1:] + b"\n"], 100) == ["€"]

    def test_what_is_no_utf8_is_marked_and_stops_nothing(self) -> None:
        assert lines_of([b"\xff\xfe\nnext\n"], 100) == ["��", "next"]

    def test_lines_of_a_mebibyte_are_bounded_and_the_next_one_is_whole(self) -> None:
        data = (b"x" * 1024**2 + b"\nnext\n") * 2
        chunks = [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
        assert lines_of(chunks, 1_000) == ["x" * 1_000, "next"] * 2

    def test_a_line_that_is_too_long_comes_before_it_has_ended(self) -> None:
        assert Lines(3).feed(b"abcdef") == ["abc"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a log."""
    return tmp_path / "build.log"


class TestLogFile:
    def test_a_full_log_ends_with_one_mark_and_is_within_its_bound(self, path: Path) -> None:
        log = LogFile(path, Redactor([]), 1_000)
        for number in range(500):
            log.write(f"line {number}")
        log.close()
        text = path.read_text()
        assert text.endswith(FULL)
        assert text.count(FULL) == 1
        assert text.startswith("line 0\nline 1\n")
        assert len(text.encode()) <= 1_000

    def test_one_write_that_is_larger_than_the_log_is_the_mark_only(self, path: Path) -> None:
        log = LogFile(path, Redactor([]), 200)
        log.write("x" * 1_000)
        log.write("more")
        log.close()
        assert path.read_text() == FULL

    def test_nobody_else_may_read_it(self, path: Path) -> None:
        LogFile(path, Redactor([]), 1_000).close()
        assert path.stat().st_mode & 0o077 == 0

    def test_what_is_read_begins_where_it_is_asked_for(self, path: Path) -> None:
        log = LogFile(path, Redactor(["swordfish"]), 1_000)
        log.write("first")
        assert log.read(0, 100) == b"first\n"
        log.write("it is swordfish")
        assert log.read(6, 100) == f"it is {HIDDEN}\n".encode()
        assert log.read(1_000, 100) == b""
        log.close()

    @given(
        st.lists(st.text("aé€😀\n", max_size=30), max_size=10),
        st.lists(st.integers(4, 40), min_size=1, max_size=50),
        st.integers(40, 2_000),
    )
    def test_no_sequence_of_reads_cuts_a_character_or_loses_one(
        self, writes: list[str], sizes: list[int], bytes_max: int
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "build.log"
            log = LogFile(place, Redactor([]), bytes_max)
            read, turn = b"", 0
            pending = list(writes)
            while pending or (read != place.read_bytes()):
                if pending:
                    log.write(pending.pop(0))
                piece = log.read(len(read), sizes[turn % len(sizes)])
                piece.decode()
                read += piece
                turn += 1
            log.close()
            assert read == place.read_bytes()
