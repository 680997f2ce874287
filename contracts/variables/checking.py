"""Values for a module's variables, held against what the module says of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.catalog.v1 import Variable
from contracts.events import Problem
from contracts.variables.conditions import holds
from contracts.variables.nearest import known_as
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.types import (
    ANY,
    Collection,
    ConversionError,
    TerraformType,
    convert,
    misfits,
    parse_type,
)
from contracts.variables.values import UnfitValueError, from_json, identity

PROBLEMS_MAX: Final = 100
_TEXT_LENGTH_MAX: Final = 500


def check_variables(
    variables: Sequence[Variable], values: Mapping[str, Any], *, pointer: str = "/variables"
) -> tuple[Problem, ...]:
    """Return all that is wrong with the values, by JSON pointer; nothing wrong: an empty tuple.

    `values` is decoded JSON. Checked are, in this order for each variable: that it is known and
    not hidden (group 0), its size, whether it may be null, its type, options, and those validations
    that can be decided without Terraform. Messages never repeat a value, since it may be a secret.
    At most `PROBLEMS_MAX` problems are told.
    """
    offered = {variable.name: variable for variable in variables if variable.group != 0}
    problems: list[Problem] = []
    for name, value in values.items():
        variable = offered.get(name)
        if variable is None:
            message = f"is not a variable of this module{known_as(name, offered)}"
            problems.append(_problem(pointer, (name,), message, "UNKNOWN_VARIABLE"))
        else:
            problems += _check(variable, value, pointer)
        if len(problems) >= PROBLEMS_MAX:
            return tuple(problems[:PROBLEMS_MAX])
    for name, variable in offered.items():
        if variable.required and name not in values:
            problems.append(_problem(pointer, (name,), "is required", "REQUIRED"))
    return tuple(problems[:PROBLEMS_MAX])


def effective_values(variables: Sequence[Variable], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Terraform is to be given: the values, and the defaults of all the rest.

    A default is given too because the module's author may have overridden the one in Terraform;
    that of a sensitive variable is not known here, and Terraform takes its own.
    """
    result = {
        variable.name: variable.default
        for variable in variables
        if not variable.required and not variable.sensitive
    }
    for variable in variables:
        given = variable.name in values
        if given and (values[variable.name] is not None or variable.nullable):
            result[variable.name] = values[variable.name]
    return result


def _check(variable: Variable, value: Any, pointer: str) -> list[Problem]:
    name = variable.name
    try:
        exact = from_json(value)
    except UnfitValueError as error:
        return [_problem(pointer, (name, *error.path), error.message, "UNFIT_VALUE")]
    if exact is None:
        if variable.nullable or not variable.required:
            return []
        return [_problem(pointer, (name,), "must not be null", "NULL_NOT_ALLOWED")]
    type_ = _type_of(variable)
    wrong = [
        _problem(pointer, (name, *misfit.path), misfit.message, "WRONG_TYPE")
        for misfit in misfits(type_, exact)
    ]
    if wrong:
        return wrong
    converted = convert(type_, exact)
    if not _is_option(variable, type_, converted):
        return [_problem(pointer, (name,), "is not one of the options", "NOT_AN_OPTION")]
    return [
        _problem(pointer, (name,), validation.message, "VALIDATION_FAILED")
        for validation in variable.validations
        if validation.decidable and holds(validation.condition, name, converted) is False
    ]


def _type_of(variable: Variable) -> TerraformType:
    """Return the variable's type; one that a newer catalogue understands is left to Terraform."""
    try:
        return parse_type(variable.type)
    except NotUnderstoodError:
        return ANY


def _is_option(variable: Variable, type_: TerraformType, value: Any) -> bool:
    """Return whether the value is an option, or all its items are where options are of items."""
    if not variable.options:
        return True
    options = [_exact_option(option) for option in variable.options]
    if options_are_of_items(type_, options) and isinstance(value, list):
        element = type_.element if isinstance(type_, Collection) else ANY
        allowed = {identity(_converted(element, option)) for option in options}
        return all(identity(item) in allowed for item in value)
    return identity(value) in {identity(_converted(type_, option)) for option in options}


def options_are_of_items(type_: TerraformType, options: Sequence[Any]) -> bool:
    """Return whether options speak of the items of a list or set, not of the whole of it."""
    is_collection = isinstance(type_, Collection) and type_.name != "map"
    return is_collection and not any(isinstance(option, list) for option in options)


def _exact_option(option: Any) -> Any:
    try:
        return from_json(option)
    except UnfitValueError:
        # No value that fits can be equal to it.
        return option


def _converted(type_: TerraformType, option: Any) -> Any:
    try:
        return convert(type_, option)
    except ConversionError:
        return option


def _problem(pointer: str, path: tuple[str | int, ...], message: str, code: str) -> Problem:
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    return Problem(pointer=_short("/".join([pointer, *steps])), message=_short(message), code=code)


def _short(text: str) -> str:
    clean = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return clean if len(clean) <= _TEXT_LENGTH_MAX else clean[: _TEXT_LENGTH_MAX - 1] + "…"
