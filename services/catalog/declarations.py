"""Variables and outputs as a module's Terraform files declare them."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from contracts.variables.conditions import is_decidable
from contracts.variables.expressions import parse
from contracts.variables.nearest import nearest
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.types import (
    ANY,
    STRING,
    ConversionError,
    Primitive,
    TerraformType,
    convert,
    parse_type,
)
from contracts.variables.values import NotConstantError, UnfitValueError, constant, to_json
from services.catalog.definition import Output, Problem, Validation
from services.catalog.terraform_blocks import Attribute, Block
from services.catalog.terraform_files import named_blocks

VARIABLES_MAX: Final = 1_000
VALIDATIONS_MAX: Final = 50
TEXT_LENGTH_MAX: Final = 20_000
NAME_LENGTH_MAX: Final = 200

_VARIABLE_ARGUMENTS: Final = frozenset(
    {"type", "default", "description", "sensitive", "nullable", "ephemeral", "deprecated", "const"}
)
_OUTPUT_ARGUMENTS: Final = frozenset(
    {"value", "description", "sensitive", "ephemeral", "depends_on", "deprecated", "type"}
)
_RESERVED_NAMES: Final = frozenset(
    {"source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals"}
)
_IDENTIFIER: Final = re.compile(r"[^\W\d][\w-]*")

BOOL: Final = Primitive("bool")
_ANY: TerraformType = ANY
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Declared:
    """A variable as declared, and where. `default` is exact and means nothing if `required`."""

    name: str
    file: str
    line: int
    type: TerraformType
    description: str
    description_file: str
    description_line: int
    required: bool
    default: Any
    nullable: bool
    sensitive: bool
    validations: tuple[Validation, ...]


class _Reader:
    """Reads blocks and gathers all that is wrong with them, so that one sync tells it all."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems

    def variable(self, name: str, block: Block) -> Declared:
        self._check_words(block, _VARIABLE_ARGUMENTS)
        if name in _RESERVED_NAMES:
            self._problem(block, block.line, f"Terraform keeps the name `{name}` for itself")
        type_ = self._read(block, "type", _type, _ANY)
        default = self._read(
            block, "default", lambda text: _default(text, type_), None, offset_matters=False
        )
        description = block.attributes.get("description")
        nullable = self._constant(block, "nullable", BOOL, default=True)
        required = "default" not in block.attributes
        if not required and default is None and not nullable:
            self._problem(
                block, block.line, f"variable `{name}` is not nullable but defaults to null"
            )
        if len(block.blocks) > VALIDATIONS_MAX:
            self._problem(block, block.line, f"variable `{name}` has over {VALIDATIONS_MAX} blocks")
        return Declared(
            name=name,
            file=block.file,
            line=block.line,
            type=type_,
            description=self._constant(block, "description", STRING, default=""),
            description_file=(description and description.file) or block.file,
            description_line=description.line if description else block.line,
            required=required,
            default=default,
            nullable=nullable,
            sensitive=self._constant(block, "sensitive", BOOL, default=False),
            validations=tuple(
                self._validation(name, inner)
                for inner in block.blocks[:VALIDATIONS_MAX]
                if inner.kind == "validation"
            ),
        )

    def output(self, name: str, block: Block) -> Output:
        self._check_words(block, _OUTPUT_ARGUMENTS)
        return Output(
            name=name,
            description=self._constant(block, "description", STRING, default=""),
            sensitive=self._constant(block, "sensitive", BOOL, default=False),
        )

    def _validation(self, variable: str, block: Block) -> Validation:
        condition = block.attributes.get("condition")
        if condition is None:
            self._problem(block, block.line, f"a validation of `{variable}` has no condition")
            return Validation(condition="true", message="", decidable=False)
        if len(condition.text) > TEXT_LENGTH_MAX:
            message = f"a condition of `{variable}` is longer than {TEXT_LENGTH_MAX} characters"
            self._problem(block, condition.line, message)
        message_attribute = block.attributes.get("error_message")
        return Validation(
            condition=condition.text.strip(),
            message=_message_text(message_attribute),
            decidable=is_decidable(condition.text, variable),
        )

    def _constant(self, block: Block, name: str, type_: TerraformType, *, default: T) -> T:
        if name not in block.attributes:
            return default
        value = self._read(block, name, lambda text: convert(type_, constant(parse(text))), default)
        if isinstance(value, str) and len(value) > TEXT_LENGTH_MAX:
            attribute = block.attributes[name]
            message = f"{name} is longer than {TEXT_LENGTH_MAX} characters"
            self._problem(block, attribute.line, message, attribute.file)
        return default if value is None else value

    def _read(
        self,
        block: Block,
        name: str,
        read: Callable[[str], T],
        fallback: T,
        *,
        offset_matters: bool = True,
    ) -> T:
        attribute = block.attributes.get(name)
        if attribute is None:
            return fallback
        try:
            return read(attribute.text)
        except (NotUnderstoodError, NotConstantError, ConversionError, UnfitValueError) as error:
            line = attribute.line
            if isinstance(error, NotUnderstoodError) and offset_matters:
                line += attribute.text.count("\n", 0, error.offset)
            message = f"{name} of {block.kind} `{block.labels[0]}`: {error}"
            self._problem(block, line, message, attribute.file)
            return fallback

    def _problem(self, block: Block, line: int, message: str, file: str | None = None) -> None:
        self._problems.append(Problem(file=file or block.file, line=line, message=message))

    def _check_words(self, block: Block, known: Collection[str]) -> None:
        """Add a word that is surely a misspelt argument: Terraform refuses it, whatever it is."""
        for name, attribute in block.attributes.items():
            if name not in known and (meant := nearest(name, known)) is not None:
                message = f"{block.kind} `{block.labels[0]}` has no argument `{name}`"
                self._problem(
                    block, attribute.line, f"{message}; did you mean `{meant}`?", attribute.file
                )


def _type(text: str) -> TerraformType:
    return parse_type(text)


def _default(text: str, type_: TerraformType) -> Any:
    value = convert(type_, constant(parse(text)))
    to_json(value)
    return value


def _message_text(attribute: Attribute | None) -> str:
    """Return the message as people will read it; what Terraform would put in stands as written."""
    if attribute is None:
        return "is not valid"
    written = attribute.text.strip()
    try:
        value = constant(parse(written))
    except (NotUnderstoodError, NotConstantError):
        value = written.strip('"')
    return str(value).strip()[:TEXT_LENGTH_MAX]


def declared_variables(blocks: Sequence[Block], problems: list[Problem]) -> dict[str, Declared]:
    """Return the variables by name, in the order of their declaration."""
    found = named_blocks(tuple(blocks), "variable", problems)
    _bound(found, "variables", problems)
    reader = _Reader(problems)
    return {name: reader.variable(name, block) for name, block in _first(found)}


def declared_outputs(blocks: Sequence[Block], problems: list[Problem]) -> tuple[Output, ...]:
    """Return the outputs in the order of their declaration."""
    found = named_blocks(tuple(blocks), "output", problems)
    _bound(found, "outputs", problems)
    reader = _Reader(problems)
    return tuple(reader.output(name, block) for name, block in _first(found))


def _first(found: dict[str, Block]) -> list[tuple[str, Block]]:
    return list(found.items())[:VARIABLES_MAX]


def _bound(found: dict[str, Block], what: str, problems: list[Problem]) -> None:
    blocks = list(found.items())
    if len(blocks) > VARIABLES_MAX:
        block = blocks[VARIABLES_MAX][1]
        message = f"the module has more than {VARIABLES_MAX} {what}"
        problems.append(Problem(file=block.file, line=block.line, message=message))
    for name, block in blocks:
        if _IDENTIFIER.fullmatch(name) is None:
            message = f"`{name[:NAME_LENGTH_MAX]}` cannot be a name: letters, digits, `_` and `-`"
            problems.append(Problem(file=block.file, line=block.line, message=message))
        elif len(name) > NAME_LENGTH_MAX:
            message = f"a name is longer than {NAME_LENGTH_MAX} characters"
            problems.append(Problem(file=block.file, line=block.line, message=message))
