"""The command line's reference, `docs/commands.md`, made of what the commands say of themselves."""

import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parents[1] / "docs" / "commands.md"
_HEAD: Final = """\
# The command line

Made of what each command says of itself, by `make commands`; `tollgate COMMAND --help` says the
same.

Exit status, of every command: **0** it is done, or there is nothing to do; **1** it failed, or what
was asked for is not so (a difference, something lost, something missing: what, is printed); **2**
the command line is not understood, and nothing was done. Errors go to the standard error, results
to the standard output, `--json` as JSON for programs. No command prints a secret, except where that
is what it is for (`tollgate token create`, `tollgate secrets make` into files).

**Which system.** With `--data-dir` a command works on the one that `tollgate up` keeps in that
folder; without, on what `TOLLGATE_…` variables name where they are set, else on `.tollgate`. What
administers needs `TOLLGATE_ADMIN_DSN` and `TOLLGATE_NATS_ADMIN_PASSWORD`, what belongs to one
service that service's settings (`tollgate config`).
"""


def text() -> str:
    """Return the whole reference as Markdown."""
    from typer.main import get_command

    from tollgate.commands import app

    return "\n".join([_HEAD, *_sections(get_command(app), "tollgate")])


def _sections(command: Any, name: str) -> list[str]:
    """Return the sections of a command and of those below it, by their names."""
    if hasattr(command, "commands"):
        below = sorted(command.commands.items())
        return [line for word, each in below for line in _sections(each, f"{name} {word}")]
    lines = [f"## `{name}`", "", *_help(command), ""]
    options = [each for each in command.params if each.name != "help"]
    if options:
        lines += ["| | |", "|---|---|", *(_row(each) for each in options), ""]
    return lines


def _help(command: Any) -> list[str]:
    return cleandoc(command.help or "").replace("\f", "").splitlines()


def _row(option: Any) -> str:
    told = (option.help or "").replace("\n", " ").replace("|", "\\|")
    if option.param_type_name == "argument":
        name = option.name.upper()
        return f"| `{name}`{'' if option.required else ' (optional)'} | {told} |"
    words = ", ".join(f"`{word}`" for word in (*option.opts, *option.secondary_opts))
    default = option.default
    shown = option.show_default is not False and default not in (None, False, (), [], ...)
    if shown and not callable(default):
        told = f"{told} Default: `{getattr(default, 'value', default)}`.".strip()
    return f"| {words}{' (required)' if option.required else ''} | {told} |"


if __name__ == "__main__":
    FILE.write_text(text())
    sys.stdout.write("docs/commands.md\n")
