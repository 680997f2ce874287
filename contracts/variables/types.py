"""Terraform's types: read from their expression, written back, and held against values."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, Literal, assert_never

from contracts.types import WHOLE_NUMBER_MAX
from contracts.variables import expressions, templates
from contracts.variables.expressions import Call, Expression, Name, Object, Tuple
from contracts.variables.nearest import known_as
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.values import (
    NotConstantError,
    constant,
    exact,
    is_number,
    kind_of,
    text_of,
    unique,
)

NUMBER_TEXT_LENGTH_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Primitive:
    """`string`, `number`, `bool`, or `any`, which takes everything."""

    name: Literal["string", "number", "bool", "any"]


@dataclass(frozen=True, slots=True)
class Collection:
    """`list(T)`, `set(T)` or `map(T)`."""

    name: Literal["list", "set", "map"]
    element: "TerraformType"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of an object type; an optional one that is left out becomes `default`."""

    name: str
    type: "TerraformType"
    optional: bool
    default: Any


@dataclass(frozen=True)
class ObjectType:
    """`object({name = T})`."""

    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class TupleType:
    """`tuple([T, U])`."""

    elements: "tuple[TerraformType, ...]"


TerraformType = Primitive | Collection | ObjectType | TupleType

ANY: Final = Primitive("any")
STRING: Final = Primitive("string")

# Terraform still takes a collection without the type of its elements, and 0.11's quoted names.
_NAMED: Final[dict[str, TerraformType]] = {
    "string": STRING,
    "number": Primitive("number"),
    "bool": Primitive("bool"),
    "any": ANY,
    "list": Collection("list", ANY),
    "map": Collection("map", ANY),
    "set": Collection("set", ANY),
}
_QUOTED: Final = {"string": "string", "list": "list", "map": "map"}

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Misfit:
    """A part of a value that its type does not allow; `path` leads to it."""

    path: Path
    message: str


class ConversionError(ValueError):
    """A value that Terraform would not convert to the type it is declared to have."""


@lru_cache(maxsize=2048)
def parse_type(text: str) -> TerraformType:
    """Return the type that a type expression names, else `NotUnderstoodError`."""
    return _type(expressions.parse(text))


def _type(expression: Expression) -> TerraformType:
    match expression:
        case Name(name) if name in _NAMED:
            return _NAMED[name]
        case templates.Literal(str(name)) if name in _QUOTED:
            return _NAMED[_QUOTED[name]]
        case Call("list" | "set" | "map" as name, (element,), False):
            return Collection(name, _type(element))
        case Call("tuple", (Tuple(items),), False):
            return TupleType(tuple(_type(item) for item in items))
        case Call("object", (Object(items),), False):
            attributes = tuple(_attribute(key, value) for key, value in items)
            names = [attribute.name for attribute in attributes]
            if len(set(names)) < len(names):
                raise NotUnderstoodError("names an attribute of an object twice", 0)
            return ObjectType(attributes)
        case Name(name) | Call(name):
            raise NotUnderstoodError(f"`{name}` is not a type{known_as(name, _TYPE_NAMES)}", 0)
        case _:
            raise NotUnderstoodError("is not a type", 0)


_TYPE_NAMES: Final = ("string", "number", "bool", "any", "list", "set", "map", "object", "tuple")


def _attribute(key: Expression, value: Expression) -> Attribute:
    if not isinstance(key, templates.Literal) or not isinstance(key.value, str):
        raise NotUnderstoodError("names an attribute by something that is no name", 0)
    match value:
        case Call("optional", (inner,), False):
            return Attribute(key.value, _type(inner), optional=True, default=None)
        case Call("optional", (inner, default), False):
            type_ = _type(inner)
            try:
                fitting = convert(type_, constant(default))
            except (NotConstantError, ConversionError) as error:
                raise NotUnderstoodError(f"the default of `{key.value}` {error}", 0) from error
            return Attribute(key.value, type_, optional=True, default=fitting)
        case _:
            return Attribute(key.value, _type(value), optional=False, default=None)


def format_type(type_: TerraformType) -> str:
    """Return the type's expression in its one canonical form."""
    match type_:
        case Primitive(name):
            return name
        case Collection(name, element):
            return f"{name}({format_type(element)})"
        case TupleType(elements):
            return f"tuple([{', '.join(format_type(element) for element in elements)}])"
        case ObjectType(attributes):
            return f"object({{{', '.join(_format_attribute(each) for each in attributes)}}})"
        case _:
            assert_never(type_)


def _format_attribute(attribute: Attribute) -> str:
    inner = format_type(attribute.type)
    if not attribute.optional:
        return f"{_format_key(attribute.name)} = {inner}"
    if attribute.default is None:
        return f"{_format_key(attribute.name)} = optional({inner})"
    return f"{_format_key(attribute.name)} = optional({inner}, {format_value(attribute.default)})"


def format_value(value: Any) -> str:
    """Return a constant as Terraform writes it."""
    match value:
        case None:
            return "null"
        case str():
            quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            quoted = quoted.replace("\r", "\\r").replace("\t", "\\t")
            return '"' + quoted.replace("${", "$${").replace("%{", "%%{") + '"'
        case list():
            return f"[{', '.join(format_value(item) for item in value)}]"
        case dict():
            pairs = (f"{_format_key(key)} = {format_value(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return text_of(value)


def _format_key(name: str) -> str:
    # `{for …}` would begin something else.
    is_name = name.replace("-", "_").isidentifier() and name != "for"
    return name if is_name else format_value(name)


def misfits(type_: TerraformType, value: Any, path: Path = ()) -> Iterator[Misfit]:
    """Yield what of a JSON value is not of the type, strictly: `"5"` is no number.

    Null is allowed inside a value, as Terraform does; whether a variable may be null is not a
    matter of its type.
    """
    if value is None:
        return
    match type_:
        case Primitive("any"):
            return
        case Primitive(name):
            yield from _primitive_misfits(name, value, path)
        case Collection("map", element):
            if not isinstance(value, dict):
                yield Misfit(path, f"must be an object, not {kind_of(value)}")
                return
            for key, item in value.items():
                yield from misfits(element, item, (*path, key))
        case Collection(_, element):
            if not isinstance(value, list):
                yield Misfit(path, f"must be a list, not {kind_of(value)}")
                return
            for number, item in enumerate(value):
                yield from misfits(element, item, (*path, number))
        case TupleType(elements):
            if not isinstance(value, list) or len(value) != len(elements):
                yield Misfit(path, f"must be a list of {len(elements)} items")
                return
            for number, (element, item) in enumerate(zip(elements, value, strict=True)):
                yield from misfits(element, item, (*path, number))
        case ObjectType(attributes):
            if not isinstance(value, dict):
                yield Misfit(path, f"must be an object, not {kind_of(value)}")
                return
            yield from _object_misfits(attributes, value, path)
        case _:
            assert_never(type_)


def _primitive_misfits(name: str, value: Any, path: Path) -> Iterator[Misfit]:
    fits = {
        "string": isinstance(value, str),
        "bool": isinstance(value, bool),
        "number": is_number(value),
    }
    if not fits[name]:
        wanted = {"string": "a string", "bool": "true or false", "number": "a number"}[name]
        yield Misfit(path, f"must be {wanted}, not {kind_of(value)}")


def _object_misfits(
    attributes: tuple[Attribute, ...], value: dict[str, Any], path: Path
) -> Iterator[Misfit]:
    names = [attribute.name for attribute in attributes]
    for attribute in attributes:
        if attribute.name in value:
            yield from misfits(attribute.type, value[attribute.name], (*path, attribute.name))
        elif not attribute.optional:
            yield Misfit((*path, attribute.name), "is required")
    for key in value:
        if key not in names:
            yield Misfit((*path, key), f"is not an attribute{known_as(key, names)}")


def convert(type_: TerraformType, value: Any) -> Any:
    """Return the value as Terraform converts it to the type, else `ConversionError`.

    It is as generous as Terraform is: `"5"` becomes a number, an object's further attributes are
    dropped, its optional ones filled in, a set's repetitions go.
    """
    if value is None:
        return None
    match type_:
        case Primitive(name):
            return _converted_primitive(name, value)
        case Collection(name, element):
            if name == "map":
                return {key: convert(element, item) for key, item in _dict(value).items()}
            converted = [convert(element, item) for item in _list(value)]
            return unique(converted) if name == "set" else converted
        case TupleType(elements):
            if len(_list(value)) != len(elements):
                raise ConversionError(f"must be a list of {len(elements)} items")
            return [convert(e, item) for e, item in zip(elements, value, strict=True)]
        case ObjectType(attributes):
            return {a.name: _converted_attribute(a, _dict(value)) for a in attributes}
        case _:
            assert_never(type_)


def _converted_attribute(attribute: Attribute, value: dict[str, Any]) -> Any:
    if attribute.name not in value and not attribute.optional:
        raise ConversionError(f"attribute `{attribute.name}` is required")
    given = convert(attribute.type, value.get(attribute.name))
    return attribute.default if given is None and attribute.optional else given


def _converted_primitive(name: str, value: Any) -> Any:
    if name == "any":
        return value
    if isinstance(value, list | dict):
        raise ConversionError(f"must be a {name}, not {kind_of(value)}")
    if name == "string":
        return text_of(value)
    if name == "bool":
        truth = {"true": True, "1": True, "false": False, "0": False}
        if isinstance(value, bool) or (isinstance(value, str) and value in truth):
            return value if isinstance(value, bool) else truth[value]
        raise ConversionError(f"must be true or false, not {kind_of(value)}")
    if is_number(value):
        return value
    try:
        if not isinstance(value, str) or len(value) > NUMBER_TEXT_LENGTH_MAX:
            raise ConversionError(f"must be a number, not {kind_of(value)}")
        number = Decimal(value)
        if not number.is_finite() or number.adjusted() > NUMBER_TEXT_LENGTH_MAX:
            raise ConversionError(f"must be a number not beyond {WHOLE_NUMBER_MAX}")
        return exact(number)
    except InvalidOperation as error:
        raise ConversionError("must be a number, not any other string") from error


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConversionError(f"must be an object, not {kind_of(value)}")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ConversionError(f"must be a list, not {kind_of(value)}")
    return value
