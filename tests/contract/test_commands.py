"""The contracts' commands, as a developer calls them."""

from pathlib import Path

from typer.testing import CliRunner

from contracts import asyncapi
from tollgate.commands import app


def test_the_check_finds_nothing_wrong_and_says_nothing() -> None:
    result = CliRunner().invoke(app, ["schemas", "--check"])
    assert (result.exit_code, result.output) == (0, "")


def test_the_asyncapi_document_is_printed_or_written(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["asyncapi"]).output == asyncapi.text()
    file = tmp_path / "made" / "asyncapi.json"
    assert CliRunner().invoke(app, ["asyncapi", "--output", str(file)]).exit_code == 0
    assert file.read_text(encoding="utf-8") == asyncapi.text()


def test_a_document_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["asyncapi", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith("tollgate: ")
    assert result.output.count("\n") == 1
