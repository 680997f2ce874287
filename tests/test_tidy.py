"""The house's own rules, those that no linter knows."""

import ast
import configparser
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from contracts.registry import SERVICES

ROOT: Final = Path(__file__).resolve().parents[1]
MODULE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 80
IN_EVERY_SERVICE: Final = {
    "__init__.py",
    "main.py",
    "settings.py",
    "handlers.py",
    "events.py",
    "publishing.py",
    "projections",
    "migrations",
}
BANNED_FOLDERS: Final = {"common", "core", "helpers", "lib", "misc", "shared", "util", "utils"}
LEFT_FOR_LATER: Final = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|raise NotImplementedError|placeholder)\b"
)
HOW_IT_WAS_MADE: Final = re.compile(
    r"\b(DESIGN|STYLE|FINDINGS|AI|LLM)\b|\bissue #?\d+\b|\b(sub-?agent|the brief|this session)\b"
)
SWALLOWED: Final = re.compile(
    r"except( Exception| BaseException)?( as \w+)?:\s*\n\s*(pass|continue|\.\.\.)\s*$"
    r"|suppress\((Base)?Exception\)",
    re.MULTILINE,
)
EXEMPTION: Final = re.compile(r"# *(noqa|type: ignore)(?P<rest>.*)$", re.MULTILINE)
REASONED: Final = re.compile(r"^(: [A-Z0-9, ]+|\[[a-z-, ]+\]) +(- |# )\S")
REGISTRY_ADDRESS: Final = re.compile(
    r"https?://[^\s\"']*(pypi\.|registry\.npmjs|pythonhosted|debian\.org/debian)", re.IGNORECASE
)
MOCKS: Final = re.compile(r"unittest\.mock|\bmocker\b|monkeypatch\.setattr|MagicMock")
LINK: Final = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
START_A_PROGRAM: Final = {"create_subprocess_exec", "create_subprocess_shell", "Popen", "system"}
MAY_START_PROGRAMS: Final = {
    "services/catalog/git_objects.py",
    "services/catalog/git_source.py",
    "services/catalog/reading.py",
    "services/deployer/isolation.py",
    "services/deployer/local_executor.py",
    "services/deployer/runner/processes.py",
    "services/deployer/runner/program.py",
    "runtime/segments/child.py",
}
TEXT: Final = {
    ".cfg", ".html", ".json", ".lock", ".md", ".mjs", ".py", ".sh", ".sql", ".tf", ".toml",
    ".yaml", ".yml", "",
}  # fmt: skip


def tracked() -> list[Path]:
    """Return what is in the repository, or will be: not what Git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    files = [ROOT / name for name in listed.decode().split("\0") if name]
    return [file for file in files if file.is_file()]


HERE: Final = Path(__file__)
FILES: Final = tracked()
PYTHON: Final = [file for file in FILES if file.suffix == ".py"]
CODE: Final = [file for file in PYTHON if file.relative_to(ROOT).parts[0] != "tests"]
TEXTS: Final = [file for file in FILES if file.suffix in TEXT and file != HERE]
PAGES: Final = [file for file in FILES if file.suffix == ".md"]


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def text(file: Path) -> str:
    return file.read_text(errors="replace")


def nodes(file: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(file.read_bytes()))


def having(pattern: re.Pattern[str], files: list[Path]) -> dict[str, str]:
    """Return the files that hold such a text, each with the first one."""
    found = {name(file): pattern.search(text(file)) for file in files if file != HERE}
    return {file: match.group(0) for file, match in found.items() if match}


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(file):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_module_is_longer_than_can_be_read() -> None:
    long = {name(f): n for f in PYTHON if (n := len(text(f).splitlines())) > MODULE_LINES_MAX}
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{name(file)}:{function.name}": lines
        for file in CODE
        for function in functions(file)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    }
    assert long == {}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    home = ROOT / "services" / service
    there = {path.name for path in home.iterdir()}
    assert IN_EVERY_SERVICE - there == set()
    assert (home / "decider.py").exists() or (home / "decider" / "__init__.py").exists()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_what_it_decides_publishes_and_consumes(service: str) -> None:
    told = ast.get_docstring(ast.parse(text(ROOT / "services" / service / "__init__.py")))
    assert told is not None
    said = told.casefold()
    assert [word for word in ("decides", "publishes", "consumes") if word not in said] == []


def test_services_are_listed_in_one_place() -> None:
    lists = set()
    for file in CODE:
        for node in nodes(file):
            items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            if set(SERVICES) <= {i.value for i in items if isinstance(i, ast.Constant)}:
                lists.add(name(file))
    assert lists == {"contracts/registry.py"}


def test_fences_know_every_service() -> None:
    fences = configparser.ConfigParser()
    fences.read(ROOT / ".importlinter")
    alone = fences["importlinter:contract:services-alone"]["modules"].split()
    assert sorted(alone) == sorted(f"services.{service}" for service in SERVICES)


def test_no_folder_is_a_drawer_for_everything() -> None:
    assert {
        name(f) for f in PYTHON if BANNED_FOLDERS & set(f.relative_to(ROOT).parts[:-1])
    } == set()


def test_nothing_is_left_for_later() -> None:
    assert having(LEFT_FOR_LATER, PYTHON) == {}


def test_nothing_tells_how_it_was_made() -> None:
    assert having(HOW_IT_WAS_MADE, [f for f in TEXTS if f.suffix != ".lock"]) == {}


def test_no_exception_is_swallowed_whole() -> None:
    assert having(SWALLOWED, PYTHON) == {}


def test_every_exemption_from_a_rule_gives_its_reason() -> None:
    bare = {
        f"{name(file)}: {match.group(0)}"
        for file in CODE
        for match in EXEMPTION.finditer(text(file))
        if REASONED.match(match["rest"]) is None
    }
    assert bare == set()


def test_only_these_modules_start_programs() -> None:
    starting = {
        name(file)
        for file in CODE
        if file.relative_to(ROOT).parts[0] in {"contracts", "runtime", "services"}
        for node in nodes(file)
        if (isinstance(node, ast.Attribute) and node.attr in START_A_PROGRAM)
        or (isinstance(node, ast.Import) and "subprocess" in {a.name for a in node.names})
    }
    assert starting <= MAY_START_PROGRAMS


def test_tests_mock_nothing() -> None:
    assert having(MOCKS, [f for f in PYTHON if f not in CODE]) == {}


def test_no_file_names_a_package_registry() -> None:
    assert having(REGISTRY_ADDRESS, TEXTS) == {}


def test_no_file_names_a_folder_of_this_machine() -> None:
    assert {name(f) for f in TEXTS if f"{ROOT}/" in text(f)} == set()


@pytest.mark.parametrize("package", ["runtime", *(f"services/{s}" for s in SERVICES)])
def test_migrations_are_numbered_without_a_gap(package: str) -> None:
    files = sorted((ROOT / package / "migrations").glob("*.sql"))
    assert [int(f.name[:4]) for f in files] == list(range(1, len(files) + 1))
    assert files != []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    lost = [link for link in LINK.findall(text(page)) if not (page.parent / link).exists()]
    assert lost == []


def test_every_target_is_explained_and_every_target_that_pages_name_exists() -> None:
    makefile = text(ROOT / "Makefile")
    explained = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == explained
    code = re.compile(r"```sh\n(.*?)```|`(make [^`]*)`", re.DOTALL)
    named = {
        target
        for page in PAGES
        for block in code.findall(text(page))
        for target in re.findall(r"\bmake ([a-z]+)", " ".join(block))
    }
    assert named - explained == set()


def test_what_is_declared_is_pinned_and_hashed() -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))
    declared = [*project["project"]["dependencies"]]
    embedded = project["project"]["optional-dependencies"]["embedded"]
    development = project["dependency-groups"]["dev"]
    assert unpinned(declared, "requirements.lock") == set()
    assert unpinned([*declared, *embedded, *development], "requirements-dev.lock") == set()


def unpinned(requirements: list[str], lock: str) -> set[str]:
    wanted = {re.split(r"[\[<>=~! ]", item, maxsplit=1)[0].lower() for item in requirements}
    pins = re.findall(
        r"^([a-z0-9._-]+)==\S+(?: ;[^\\\n]*)? \\\n +--hash=sha256:[0-9a-f]{64}",
        text(ROOT / lock),
        re.MULTILINE,
    )
    lines = re.findall(r"^[a-z0-9][^\n]*$", text(ROOT / lock), re.MULTILINE)
    assert len(pins) == len(lines)
    return wanted - set(pins)
