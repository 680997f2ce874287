"""A directory's files, read as a module: its definition, or everything that is wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from pydantic import ValidationError

from services.catalog import module_yaml
from services.catalog.declarations import declared_outputs, declared_variables
from services.catalog.definition import (
    Definition,
    ModuleRefusedError,
    Problem,
    refused,
)
from services.catalog.module_yaml import ModuleYaml, read_module_yaml
from services.catalog.publishing import published_definition
from services.catalog.rad_convention import (
    RESERVED,
    Metadata,
    is_rad_module,
    may_be_rad_module,
    read_metadata,
)
from services.catalog.terraform_blocks import Block
from services.catalog.terraform_directory import (
    is_for_tofu_alone,
    is_terraform,
    read_directory,
)
from services.catalog.terraform_files import raise_if_any
from services.catalog.variable_forms import build_variables

README_LENGTH_MAX: Final = 65_536
DEFINITION_BYTES_MAX: Final = 400_000
"""A definition travels in one message, and messages have at most a mebibyte."""
TERRAFORM_BYTES_MAX: Final = 4_194_304
PROBLEMS_MAX: Final = 50

_MISNAMED: Final = ("module.yml", "Module.yaml", "Module.yml")
_READMES: Final = ("README.md", "readme.md", "Readme.md", "README", "README.txt")
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_UNLESS_SAID: Final = False
"""Neither premium nor shown to others: what is not said takes nothing away and gives nothing."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModuleRead:
    """A module that was read, its blocks, and what its owner should know of it all the same."""

    definition: Definition
    blocks: tuple[Block, ...]
    warnings: tuple[Problem, ...]


WANTED_FILES: Final = (module_yaml.FILE, *_MISNAMED, *_READMES)
"""The files, besides those for Terraform, that reading a directory needs."""


def may_be_module(files: Mapping[str, bytes]) -> bool:
    """Return whether it is worth reading the directory; cheap, and never misses a module."""
    return any(name in files for name in (module_yaml.FILE, *_MISNAMED)) or may_be_rad_module(files)


def read_module(directory_name: str, files: Mapping[str, bytes]) -> ModuleRead | None:
    """Return the module that a directory's own files make, or None if they make none.

    `files` are the directory's plain files by name. Raises `ModuleRefusedError` with the problems
    found, at most `PROBLEMS_MAX`, and nothing else, whatever the files hold.
    """
    if not may_be_module(files):
        return None
    problems: list[Problem] = []
    has_yaml = module_yaml.FILE in files
    yaml = _read_yaml(files, problems)
    blocks, unreadable = _read_blocks(files, problems)
    declared = declared_variables(blocks, problems)
    is_rad = is_rad_module(declared)
    if not has_yaml and not is_rad and not may_be_rad_module(unreadable):
        return None
    # What follows would only repeat that something could not be read.
    _refuse_if_any(problems)

    warnings: list[Problem] = []
    _warn_of_tofu(files, warnings)
    metadata = read_metadata(declared, problems) if is_rad else Metadata()
    offered = {n: d for n, d in declared.items() if not (is_rad and n in RESERVED)}
    variables = build_variables(offered, yaml.variables, problems, warnings)
    outputs = declared_outputs(blocks, problems)
    name = yaml.name if has_yaml else _module_name(directory_name)
    cost = yaml.credit_cost if yaml.credit_cost is not None else metadata.credit_cost
    if name is None or cost is None:
        place = _place_of_metadata(blocks, has_yaml=has_yaml)
        told = any("`credit_cost`" in problem.message for problem in problems)
        missing_cost = cost is None and not told
        problems += _missing(place, name=name, missing_cost=missing_cost, has_yaml=has_yaml)
        _refuse_if_any(problems)
        raise AssertionError("a missing name or cost is a problem")
    _refuse_if_any(problems)
    definition = Definition(
        name=name,
        title=yaml.title or _title(name),
        description=_given(yaml.description, metadata.description, "").strip(),
        credit_cost=cost,
        require_credit_purchases=_given(
            yaml.require_credit_purchases,
            metadata.require_credit_purchases,
            _UNLESS_SAID,
        ),
        public_access=_given(yaml.public_access, metadata.public_access, _UNLESS_SAID),
        documentation=yaml.documentation or metadata.documentation or None,
        tags=_given(yaml.tags, metadata.tags, ()),
        dependencies=metadata.dependencies or (),
        variables=variables,
        outputs=outputs,
        readme=_readme(files, warnings),
    )
    _check_publishable(definition, *_place_of_metadata(blocks, has_yaml=has_yaml))
    return ModuleRead(definition, blocks, tuple(warnings[:PROBLEMS_MAX]))


def _check_publishable(definition: Definition, file: str, line: int) -> None:
    """Refuse what could not be told to others: their bounds are those of the contract."""
    try:
        encoded = msgspec.json.encode(definition)
        if _NUL.search(encoded) is not None:
            raise refused(file, line, "the module holds a NUL character")
        published_definition(definition)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise refused(file, line, f"{place}: {first['msg']}") from error
    except UnicodeError as error:
        raise refused(file, line, "the module holds text that is not valid Unicode") from error
    if len(encoded) > DEFINITION_BYTES_MAX:
        message = f"the module's definition is larger than {DEFINITION_BYTES_MAX} bytes"
        raise refused(file, line, message)


def _refuse_if_any(problems: list[Problem]) -> None:
    raise_if_any(problems[:PROBLEMS_MAX])


def _given(first: T | None, second: T | None, otherwise: T) -> T:
    if first is not None:
        return first
    return otherwise if second is None else second


def _read_yaml(files: Mapping[str, bytes], problems: list[Problem]) -> ModuleYaml:
    content = files.get(module_yaml.FILE)
    if content is None:
        for name in _MISNAMED:
            if name in files:
                raise refused(name, 0, f"is not read: a module's file is called {module_yaml.FILE}")
        return ModuleYaml()
    try:
        return read_module_yaml(content)
    except ModuleRefusedError as error:
        problems += error.problems
        return ModuleYaml()


def _read_blocks(
    files: Mapping[str, bytes], problems: list[Problem]
) -> tuple[tuple[Block, ...], dict[str, bytes]]:
    """Return the blocks of all Terraform files, and those files that could not be read."""
    terraform = {name: files[name] for name in files if is_terraform(name)}
    if not terraform:
        raise refused(".", 0, "the module has no .tf or .tf.json file")
    if sum(len(content) for content in terraform.values()) > TERRAFORM_BYTES_MAX:
        message = f"the module's Terraform files are larger than {TERRAFORM_BYTES_MAX} bytes"
        raise refused(".", 0, message)
    return read_directory(terraform, problems)


def _warn_of_tofu(files: Mapping[str, bytes], warnings: list[Problem]) -> None:
    for name in sorted(filter(is_for_tofu_alone, files)):
        message = "is not read: OpenTofu alone knows such files, Terraform .tf and .tf.json"
        warnings.append(Problem(file=name, line=0, message=message))


def _place_of_metadata(blocks: tuple[Block, ...], *, has_yaml: bool) -> tuple[str, int]:
    """Return the file and line that a missing name or cost is told at."""
    if has_yaml:
        return module_yaml.FILE, 1
    for block in blocks:
        if block.kind == "variable" and block.labels[:1] == ("module_description",):
            return block.file, block.line
    return next(((b.file, b.line) for b in blocks if b.labels[:1] == ("credit_cost",)), (".", 0))


def _missing(
    place: tuple[str, int], *, name: str | None, missing_cost: bool, has_yaml: bool
) -> list[Problem]:
    file, line = place
    problems: list[Problem] = []
    if name is None and has_yaml:
        problems.append(Problem(file=file, line=line, message="`name` is missing"))
    elif name is None:
        message = f"the directory's name cannot be a module's: it {module_yaml.NAME_RULE}"
        problems.append(Problem(file=file, line=line, message=message))
    if missing_cost:
        what = "`credit_cost` is missing" if has_yaml else "`credit_cost` has no default"
        problems.append(Problem(file=file, line=line, message=what))
    return problems


def _module_name(directory_name: str) -> str | None:
    name = directory_name.replace(" ", "-")
    return name if module_yaml.NAME.fullmatch(name) else None


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] if words else name


def _readme(files: Mapping[str, bytes], warnings: list[Problem]) -> str | None:
    name = next((name for name in _READMES if name in files), None)
    if name is None:
        return None
    text = files[name].decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\0", "")
    if len(text) > README_LENGTH_MAX:
        message = f"is shown only up to its first {README_LENGTH_MAX} characters"
        warnings.append(Problem(file=name, line=0, message=message))
    return text[:README_LENGTH_MAX]
