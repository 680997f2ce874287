"""Modules written down for a test, and what reading them says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.catalog.definition import Definition, ModuleRefusedError
from services.catalog.module_reader import read_module

FIXTURES: Final = Path(__file__).parents[2] / "fixtures" / "repositories"
EXAMPLES: Final = Path(__file__).parents[3] / "examples" / "modules"

YAML: Final = "name: web\ncredit_cost: 5\n"
MAIN: Final = 'resource "terraform_data" "web" {}\n'


def files(**texts: str | bytes) -> dict[str, bytes]:
    """Return the files of a module: `main` and `module_yaml` unless other texts are given.

    `main_tf="…"` is the file `main.tf`.
    """
    given: Mapping[str, str | bytes] = {"module_yaml": YAML, "main_tf": MAIN, **texts}
    return {
        name.replace("_", "."): text.encode() if isinstance(text, str) else text
        for name, text in given.items()
        if text
    }


def files_in(directory: Path) -> dict[str, bytes]:
    """Return a directory's own files."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def definition(module: Mapping[str, bytes], directory: str = "web") -> Definition:
    """Return the definition of what must be a module, read without a warning."""
    read = read_module(directory, module)
    assert read is not None
    assert read.warnings == ()
    return read.definition


def warnings(module: Mapping[str, bytes], directory: str = "web") -> list[tuple[str, int, str]]:
    """Return what its owner is told of what is a module all the same."""
    read = read_module(directory, module)
    assert read is not None
    return [(each.file, each.line, each.message) for each in read.warnings]


def refusals(module: Mapping[str, bytes], directory: str = "web") -> list[tuple[str, int, str]]:
    """Return why a module is refused, by file and line."""
    try:
        read = read_module(directory, module)
    except ModuleRefusedError as error:
        return [(each.file, each.line, each.message) for each in error.problems]
    raise AssertionError(f"not refused: {read}")
