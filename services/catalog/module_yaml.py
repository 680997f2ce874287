"""`module.yaml`: what a module's author says of it, with every mistake named by its line.

`MODULE_FIELDS` and `VARIABLE_FIELDS` are the one description of the format: reading it,
the published JSON Schema (`module_yaml_schema`) and the test of the documentation come from there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from contracts.types import WHOLE_NUMBER_MAX
from contracts.variables import known_as
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.types import TerraformType, parse_type
from contracts.variables.values import exact
from services.catalog.definition import Problem
from services.catalog.plain_yaml import Fields, Items, Node, Scalar, read_yaml
from services.catalog.terraform_files import raise_if_any

FILE: Final = "module.yaml"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAME_RULE: Final = "must be 1 to 100 letters, digits, dots, dashes or underscores"
TITLE_LENGTH_MAX: Final = 200
DESCRIPTION_LENGTH_MAX: Final = 20_000
ADDRESS_LENGTH_MAX: Final = 500
TAGS_MAX: Final = 50
TAG_LENGTH_MAX: Final = 100
VARIABLES_MAX: Final = 1_000
OPTIONS_MAX: Final = 1_000
PLACE_MAX: Final = 1_000_000

T = TypeVar("T")


Schema = dict[str, Any]
"""A JSON Schema, draft 2020-12."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how its value is read, and the JSON Schema of what is accepted."""

    read: "Callable[[Node, list[Problem]], Any]"
    schema: Schema

    def says(self, description: str, **more: Any) -> "Field":
        """Return the field with what it means, for people."""
        return Field(self.read, {**self.schema, "description": description, **more})


class _WrongError(Exception):
    """A value is not what its field takes; `line` is the value's own."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Default:
    """A default that was given, which may be null."""

    value: Any


@dataclass(frozen=True, slots=True)
class VariableOverride:
    """What `module.yaml` says of a variable; None where it leaves it to `variables.tf`."""

    name: str
    line: int
    type: TerraformType | None = None
    description: str | None = None
    default: Default | None = None
    options: tuple[Any, ...] | None = None
    group: int | None = None
    order: int | None = None
    sensitive: bool | None = None
    update_safe: bool | None = None
    lines: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModuleYaml:
    """What `module.yaml` says; None where it says nothing. `lines` tells where."""

    name: str | None = None
    title: str | None = None
    description: str | None = None
    credit_cost: int | None = None
    require_credit_purchases: bool | None = None
    public_access: bool | None = None
    documentation: str | None = None
    tags: tuple[str, ...] | None = None
    variables: tuple[VariableOverride, ...] = ()
    lines: dict[str, int] = field(default_factory=dict)


def read_module_yaml(content: bytes) -> ModuleYaml:
    """Return what the file says, else a refusal with everything that is wrong in it."""
    problems: list[Problem] = []
    found = _read_fields(read_yaml(FILE, content), MODULE_FIELDS, "the module", problems)
    overrides = tuple(found.values.pop("variables", ()))
    _no_name_twice(overrides, problems)
    raise_if_any(problems)
    return ModuleYaml(**found.values, variables=overrides, lines=found.lines)


def _no_name_twice(overrides: tuple[VariableOverride, ...], problems: list[Problem]) -> None:
    first: dict[str, int] = {}
    for override in overrides:
        if override.name in first:
            message = (
                f"variable `{override.name}` is there twice, first in line {first[override.name]}"
            )
            problems.append(Problem(file=FILE, line=override.line, message=message))
        first.setdefault(override.name, override.line)


@dataclass
class _Found:
    values: dict[str, Any]
    lines: dict[str, int]


def _read_fields(
    node: Node,
    known: dict[str, Field],
    what: str,
    problems: list[Problem],
) -> _Found:
    """Return the fields that `known` has, in their types; all others become problems."""
    if not isinstance(node, Fields):
        problems.append(Problem(file=FILE, line=node.line, message=f"{what} must be a mapping"))
        return _Found({}, {})
    found = _Found({}, node.lines)
    for name, value in node.fields.items():
        reader = known.get(name)
        if reader is None:
            message = f"`{name}` is not a field of {what}{known_as(name, known)}"
            problems.append(Problem(file=FILE, line=node.lines[name], message=message))
            continue
        try:
            found.values[name] = reader.read(value, problems)
        except _WrongError as error:
            message = f"`{name}` {error}"
            problems.append(Problem(file=FILE, line=error.line, message=message))
    return found


def _text(length_max: int) -> Callable[[Node, list[Problem]], str]:
    def read(node: Node, _: list[Problem]) -> str:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            raise _WrongError(f"must be a text, not {_kind(node)}", node.line)
        text = node.value.strip()
        if len(text) > length_max:
            raise _WrongError(f"is longer than {length_max} characters", node.line)
        return text

    return read


def _name(node: Node, problems: list[Problem]) -> str:
    text = _text(TITLE_LENGTH_MAX)(node, problems)
    if NAME.fullmatch(text) is None:
        raise _WrongError(NAME_RULE, node.line)
    return text


def _bool(node: Node, _: list[Problem]) -> bool:
    if not isinstance(node, Scalar) or not isinstance(node.value, bool):
        raise _WrongError(f"must be true or false, not {_kind(node)}", node.line)
    return node.value


def _whole(maximum: int, what: str) -> Callable[[Node, list[Problem]], int]:
    def read(node: Node, _: list[Problem]) -> int:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, Decimal):
            raise _WrongError(f"must be a whole number{what}, not a fraction", node.line)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _WrongError(f"must be a whole number{what}, not {_kind(node)}", node.line)
        if value < 0:
            raise _WrongError("must not be negative", node.line)
        if value > maximum:
            raise _WrongError(f"must not be beyond {maximum}", node.line)
        return value

    return read


def _address(node: Node, problems: list[Problem]) -> str:
    text = _text(ADDRESS_LENGTH_MAX)(node, problems)
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _WrongError("is no web address", node.line) from error
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise _WrongError("must be a web address, https://…", node.line)
    return text


def _tags(node: Node, problems: list[Problem]) -> tuple[str, ...]:
    items = _items(node, TAGS_MAX)
    return tuple(dict.fromkeys(_text(TAG_LENGTH_MAX)(item, problems) for item in items))


def _type(node: Node, problems: list[Problem]) -> TerraformType:
    text = _text(DESCRIPTION_LENGTH_MAX)(node, problems)
    try:
        return parse_type(text)
    except NotUnderstoodError as error:
        raise _WrongError(str(error), node.line) from error


def _default(node: Node, _: list[Problem]) -> Default:
    return Default(_plain(node))


def _options(node: Node, _: list[Problem]) -> tuple[Any, ...]:
    return tuple(_plain(item) for item in _items(node, OPTIONS_MAX))


def _variables(node: Node, problems: list[Problem]) -> tuple[VariableOverride, ...]:
    overrides: list[VariableOverride] = []
    for item in _items(node, VARIABLES_MAX):
        before = len(problems)
        found = _read_fields(item, VARIABLE_FIELDS, "a variable", problems)
        if "name" in found.values:
            overrides.append(VariableOverride(line=item.line, lines=found.lines, **found.values))
        elif len(problems) == before:
            problems.append(Problem(file=FILE, line=item.line, message="a variable needs a `name`"))
    return tuple(overrides)


def _items(node: Node, length_max: int) -> tuple[Node, ...]:
    if not isinstance(node, Items):
        raise _WrongError(f"must be a list, not {_kind(node)}", node.line)
    if len(node.items) > length_max:
        raise _WrongError(f"has more than {length_max} items", node.line)
    return node.items


def _plain(node: Node) -> Any:
    """Return the value a node stands for."""
    match node:
        case Scalar(value):
            return exact(value) if isinstance(value, Decimal) else value
        case Items(items):
            return [_plain(item) for item in items]
        case Fields(fields):
            return {name: _plain(item) for name, item in fields.items()}


def _kind(node: Node) -> str:
    match node:
        case Items():
            return "a list"
        case Fields():
            return "a mapping"
        case Scalar(None):
            return "nothing"
        case Scalar(bool()):
            return "true or false"
        case Scalar(str()):
            return "a text"
        case Scalar():
            return "a number"


def _text_field(length_max: int) -> Field:
    # Around a text, space does not count; the schema has no words for that.
    return Field(_text(length_max), {"type": "string", "maxLength": length_max})


def _whole_field(maximum: int, what: str) -> Field:
    return Field(_whole(maximum, what), {"type": "integer", "minimum": 0, "maximum": maximum})


_BOOL: Final = Field(_bool, {"type": "boolean"})

VARIABLE_FIELDS: Final[dict[str, Field]] = {
    "name": _text_field(TITLE_LENGTH_MAX).says("The variable, as a `.tf` file declares it."),
    "type": Field(_type, {"type": "string", "maxLength": DESCRIPTION_LENGTH_MAX}).says(
        "A Terraform type, such as `list(string)`; else the declared one.",
        examples=["string", "map(object({ size = number, zone = optional(string) }))"],
    ),
    "description": _text_field(DESCRIPTION_LENGTH_MAX).says(
        "What the form says of it; else the declared description."
    ),
    "default": Field(_default, {}).says(
        "Any value of the variable's type; with it the variable is not required."
    ),
    "options": Field(_options, {"type": "array", "maxItems": OPTIONS_MAX}).says(
        "The only values that are allowed; of a list or set, its only items."
    ),
    "group": _whole_field(PLACE_MAX, "").says(
        "Which part of the form it stands in; 0 is never shown, and nobody can set it.", default=1
    ),
    "order": _whole_field(PLACE_MAX, "").says("Its place in the group.", default=0),
    "sensitive": _BOOL.says("Write-only: kept out of answers, logs and forms.", default=False),
    "update_safe": _BOOL.says("May be changed in a running deployment.", default=False),
}
MODULE_FIELDS: Final[dict[str, Field]] = {
    "name": Field(
        _name, {"type": "string", "pattern": rf"^\s*{NAME.pattern}\s*$", "maxLength": 200}
    ).says("The module's name, unique in its scope: the platform's, or one partner's."),
    "title": _text_field(TITLE_LENGTH_MAX).says("What people read; else it is made of the name."),
    "description": _text_field(DESCRIPTION_LENGTH_MAX).says("What the module is for."),
    "credit_cost": _whole_field(WHOLE_NUMBER_MAX, " of credits").says(
        "What a deployment costs, in credits; missing only where a reserved variable says it."
    ),
    "require_credit_purchases": _BOOL.says(
        "Only credits that were bought pay for it, no awarded ones.", default=False
    ),
    "public_access": _BOOL.says("Whether others see a partner's module.", default=False),
    "documentation": Field(
        _address,
        {
            "type": "string",
            "pattern": r"^\s*[hH][tT][tT][pP][sS]?://[^/?#\s]",
            "maxLength": ADDRESS_LENGTH_MAX,
        },
    ).says("Where to read more."),
    "tags": Field(
        _tags,
        {
            "type": "array",
            "maxItems": TAGS_MAX,
            "items": {"type": "string", "maxLength": TAG_LENGTH_MAX},
        },
    ).says("Words to find it by."),
    "variables": Field(
        _variables,
        {
            "type": "array",
            "maxItems": VARIABLES_MAX,
            "items": {
                "type": "object",
                "properties": {name: each.schema for name, each in VARIABLE_FIELDS.items()},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    ).says("What forms say of variables beyond what `.tf` files declare; each may be there once."),
}
REQUIRED: Final = ("name",)
