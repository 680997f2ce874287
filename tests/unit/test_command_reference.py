"""The reference of the command line is what the commands say of themselves."""

from tollgate.reference import FILE, text


def test_the_reference_is_made_of_the_commands_as_they_are() -> None:
    assert FILE.read_text() == text(), "run `make commands`"


def test_every_command_and_every_option_says_what_it_is() -> None:
    sections = text().split("\n## ")[1:]
    assert len(sections) > 30
    for section in sections:
        lines = section.splitlines()
        assert lines[2].endswith((".", "…")), lines[0]
        rows = [line for line in lines if line.startswith("| `")]
        assert all(row.split(" | ")[-1].strip(" |") for row in rows), lines[0]
