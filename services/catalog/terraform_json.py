"""Terraform's files in JSON: the blocks that are read of a module, as if they stood in HCL.

What Terraform takes literally becomes a constant, what it takes for a template an expression
(https://developer.hashicorp.com/terraform/language/syntax/json).
"""

from collections.abc import Iterator
from typing import Any, Final

from contracts.variables.expressions import parse
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.types import format_value
from contracts.variables.values import constant
from services.catalog.definition import ModuleRefusedError, refused
from services.catalog.plain_json import Field, Fields, Items, Node, Number, Scalar, read_json
from services.catalog.terraform_blocks import Attribute, Block

_LITERAL: Final = {
    "variable": ("description", "default", "sensitive", "nullable"),
    "output": ("description", "sensitive"),
    "module": ("source",),
}
"""The blocks that are read, all of one label, and what of them stands in the text as it is."""

_COMMENT: Final = "//"


def read_json_blocks(file: str, text: str) -> tuple[Block, ...]:
    """Return the top-level blocks of a `.tf.json` file, else a refusal by file and line."""
    reader = _Reader(file)
    return tuple(
        block
        for body in reader.objects(read_json(file, text), "the file")
        for field in body.fields
        if field.name in _LITERAL
        for named in reader.objects(field.value, f"`{field.name}`")
        for label in named.fields
        for block in reader.blocks(field.name, label)
    )


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file

    def objects(self, node: Node, what: str) -> Iterator[Fields]:
        """Yield the object, or all of an array of them."""
        match node:
            case Fields():
                yield node
            case Items(items):
                for item in items:
                    if not isinstance(item, Fields):
                        raise self._refused(item, f"{what} must hold objects only")
                    yield item
            case _:
                raise self._refused(node, f"{what} must be an object or an array of objects")

    def blocks(self, kind: str, label: Field) -> Iterator[Block]:
        if label.value == Scalar(None, label.value.line):
            # Terraform, too, takes that for no block at all.
            return
        for body in self.objects(label.value, f"{kind} `{label.name}`"):
            attributes: dict[str, Attribute] = {}
            inner: list[Block] = []
            for field in body.fields:
                if field.name == _COMMENT:
                    continue
                if kind == "variable" and field.name == "validation":
                    inner += self._validations(field)
                    continue
                self._add(attributes, field, self._text(kind, field))
            yield Block(
                file=self._file,
                kind=kind,
                labels=(label.name,),
                line=label.line,
                attributes=attributes,
                blocks=tuple(inner),
            )

    def _validations(self, validation: Field) -> Iterator[Block]:
        for body in self.objects(validation.value, "`validation`"):
            attributes: dict[str, Attribute] = {}
            for field in body.fields:
                if field.name == "condition":
                    self._add(attributes, field, self._condition(field))
                elif field.name == "error_message":
                    self._add(attributes, field, self._written(field.value))
            yield Block(
                file=self._file,
                kind="validation",
                labels=(),
                line=body.line,
                attributes=attributes,
            )

    def _add(self, attributes: dict[str, Attribute], field: Field, text: str) -> None:
        if field.name in attributes:
            raise refused(self._file, field.line, f"sets `{field.name}` twice")
        attributes[field.name] = Attribute(text, field.line)

    def _text(self, kind: str, field: Field) -> str:
        """Return the expression that an attribute is, or `null` if nobody reads it."""
        if kind == "variable" and field.name == "type":
            if isinstance(field.value, Scalar) and isinstance(field.value.value, str):
                return field.value.value
            raise self._refused(field.value, "`type` must be a text")
        return self._written(field.value) if field.name in _LITERAL[kind] else "null"

    def _condition(self, field: Field) -> str:
        """Return what stands in `${…}`: nothing else makes a condition of a text."""
        value = field.value.value if isinstance(field.value, Scalar) else None
        if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
            inner = value[2:-1].strip()
            try:
                parse(inner)
            except NotUnderstoodError as error:
                message = f"`condition` is not valid: {error.message}"
                raise refused(self._file, field.line, message) from error
            return inner
        raise refused(self._file, field.line, "`condition` must be a text of the form `${…}`")

    def _written(self, node: Node) -> str:
        return format_value(self._constant(node))

    def _constant(self, node: Node) -> Any:
        match node:
            case Scalar(Number(text), line):
                try:
                    return constant(parse(text))
                except NotUnderstoodError as error:
                    raise refused(self._file, line, f"`{text[:40]}` {error.message}") from error
            case Scalar(value):
                return value
            case Items(items):
                return [self._constant(item) for item in items]
            case Fields(fields):
                found: dict[str, Any] = {}
                for field in fields:
                    if field.name in found:
                        raise refused(self._file, field.line, f"has `{field.name}` twice")
                    found[field.name] = self._constant(field.value)
                return found

    def _refused(self, node: Node, message: str) -> ModuleRefusedError:
        return refused(self._file, node.line, message)
