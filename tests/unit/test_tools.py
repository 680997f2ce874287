"""What becomes of a test whose tool is not installed."""

import pytest

from tests.support.tools import program

NOT_INSTALLED = "no-such-program"


def test_a_missing_tool_skips_a_test_on_a_developers_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOLLGATE_REQUIRE", "terraform")
    with pytest.raises(pytest.skip.Exception, match="no no-such-program on the PATH"):
        program(NOT_INSTALLED)


@pytest.mark.parametrize("required", [f"terraform,{NOT_INSTALLED}", f"{NOT_INSTALLED}, git", "all"])
def test_a_missing_tool_fails_a_test_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str
) -> None:
    monkeypatch.setenv("TOLLGATE_REQUIRE", required)
    with pytest.raises(pytest.fail.Exception, match="TOLLGATE_REQUIRE asks for no-such-program"):
        program(NOT_INSTALLED)


def test_a_program_of_the_environment_is_found_before_one_of_the_machine() -> None:
    assert program("pytest").endswith("/bin/pytest")
