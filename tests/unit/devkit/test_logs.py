"""What is shown of the parts' logs, and how the files are kept short."""

import json
from pathlib import Path

import pytest

from devkit import logs
from devkit.logs import Follower, short_form


def line(**fields: object) -> str:
    return json.dumps({"event": "hold.placed", "level": "info", "timestamp": "T", **fields})


def test_a_services_line_is_its_event_and_fields() -> None:
    said = short_form(line(level="warning", wallet="w1"), least_level="warning")
    assert said == "hold.placed wallet=w1"


def test_lines_below_the_level_are_not_shown() -> None:
    assert short_form(line(), least_level="warning") is None
    assert short_form(line(), least_level="info") == "hold.placed"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21 05:29:21 UTC [6366] FATAL:  could not create any TCP/IP sockets",
        "[7] 2026/11/21 05:47:49 [ERR] JetStream out of space",
    ],
)
def test_a_servers_own_errors_are_shown(text: str) -> None:
    assert short_form(text, least_level="warning") == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21 05:29:21 UTC [6366] LOG:  database system is ready",
        "2026-11-21 05:47:26 UTC [1] tollgate_ledger@tollgate_ledger FATAL:  terminating",
        "[7] 2026/11/21 05:47:49 [INF] Server is ready",
        '"a string"',
        "[]",
        "",
    ],
)
def test_a_servers_everyday_lines_are_not_shown(text: str) -> None:
    assert short_form(text, least_level="warning") is None


def test_a_very_long_line_is_cut() -> None:
    said = short_form(line(level="error", text="x" * 10_000), least_level="warning")
    assert said is not None
    assert len(said) == logs.LINE_CHARACTERS_MAX


def test_a_follower_gives_each_complete_line_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.log"
    path.write_text("old\n")
    follower = Follower.from_end("ledger", path)
    assert list(follower.new_lines()) == []

    with path.open("a") as file:
        file.write("one\ntw")
    assert list(follower.new_lines()) == ["one"]
    with path.open("a") as file:
        file.write("o\n")
    assert list(follower.new_lines()) == ["two"]
    assert list(follower.new_lines()) == []


def test_a_log_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    assert list(Follower.from_end("ledger", tmp_path / "ledger.log").new_lines()) == []


def test_a_log_that_has_grown_too_long_is_put_aside_and_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.log"
    text = "x" * 1023 + "\n"
    with path.open("ab") as writer:
        follower = Follower.from_end("ledger", path)
        count = logs.FILE_BYTES_MAX // len(text) + 1
        writer.write(text.encode() * count)
        writer.flush()
        seen = 0
        while new := len(list(follower.new_lines())):
            seen += new
        assert seen == count
        writer.write(b"after\n")
        writer.flush()

        assert list(follower.new_lines()) == ["after"]
    assert path.stat().st_size == len("after\n")
    assert (tmp_path / "ledger.log.1").stat().st_size == count * len(text)
