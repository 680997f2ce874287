"""The RAD convention: a module's metadata as reserved variables, and UIMeta in descriptions.

`{{UIMeta group=2 order=201 options=a,b updatesafe }}` stands anywhere in a variable's description.
It is read tolerantly, since people write it by hand: in any order and case, with spaces around
signs, over several lines; words that we do not know are left alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from contracts.types import WHOLE_NUMBER_MAX
from contracts.variables.types import STRING, Collection, ConversionError, convert
from services.catalog.declarations import BOOL, Declared
from services.catalog.definition import Problem
from services.catalog.terraform_directory import is_terraform

RESERVED: Final = frozenset(
    {
        "module_description",
        "module_documentation",
        "module_services",
        "module_dependency",
        "credit_cost",
        "require_credit_purchases",
        "public_access",
    }
)
_MARKS: Final = ("module_description", "credit_cost")
_MENTION: Final = re.compile(rb'variable\s+"?(?:module_description|credit_cost)\b')
_JSON_MENTION: Final = re.compile(rb'"(?:module_description|credit_cost)"')
_UI_META: Final = re.compile(r"\{\{\s*UIMeta\b([^{}]*)\}\}", re.IGNORECASE)
_UI_META_BEGINS: Final = re.compile(r"\{\s*UIMeta\b", re.IGNORECASE)
_NOT_READ: Final = "UIMeta: not read, since it is not one `{{UIMeta …}}`"
_FLAGS: Final = frozenset({"updatesafe", "mandatory"})
_PLACE_MAX: Final = 1_000_000
_TEXTS: Final = Collection("list", STRING)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What reserved variables say of a module; None where they say nothing."""

    description: str | None = None
    documentation: str | None = None
    tags: tuple[str, ...] | None = None
    dependencies: tuple[str, ...] | None = None
    credit_cost: int | None = None
    require_credit_purchases: bool | None = None
    public_access: bool | None = None


@dataclass(frozen=True, slots=True)
class UiMeta:
    """How a form shows a variable; `warnings` are words that could not be read."""

    group: int = 1
    order: int = 0
    options: tuple[str, ...] = ()
    update_safe: bool = False
    warnings: tuple[str, ...] = ()


def may_be_rad_module(files: Mapping[str, bytes]) -> bool:
    """Return whether any Terraform file seems to declare the metadata; cheap, and never misses."""
    return any(
        (_MENTION if name.endswith(".tf") else _JSON_MENTION).search(content)
        for name, content in files.items()
        if is_terraform(name)
    )


def is_rad_module(declared: Mapping[str, Declared]) -> bool:
    """Return whether the variables carry a module's metadata."""
    return any(name in declared for name in _MARKS)


def read_metadata(declared: Mapping[str, Declared], problems: list[Problem]) -> Metadata:
    """Return what the reserved variables' defaults say; what they may not say is a problem."""

    def problem(variable: Declared, message: str) -> None:
        text = f"`{variable.name}` {message}"
        problems.append(Problem(file=variable.file, line=variable.line, message=text))

    def value(name: str, type_: Any) -> Any:
        variable = declared.get(name)
        if variable is None or variable.required or variable.default is None:
            return None
        try:
            return convert(type_, variable.default)
        except ConversionError as error:
            problem(variable, str(error))
            return None

    def texts(name: str) -> tuple[str, ...] | None:
        variable = declared.get(name)
        if variable is not None and isinstance(variable.default, str):
            return _split(variable.default)
        found = value(name, _TEXTS)
        return None if found is None else tuple(text for text in found if text)

    cost: int | None = None
    if (variable := declared.get("credit_cost")) is not None and not variable.required:
        cost, wrong = whole_credits(variable.default)
        if wrong is not None:
            problem(variable, wrong)
    return Metadata(
        description=value("module_description", STRING),
        documentation=value("module_documentation", STRING),
        tags=texts("module_services"),
        dependencies=texts("module_dependency"),
        credit_cost=cost,
        require_credit_purchases=value("require_credit_purchases", BOOL),
        public_access=value("public_access", BOOL),
    )


def whole_credits(value: Any) -> tuple[int | None, str | None]:
    """Return the credits a constant stands for, or what is wrong with it."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
        value = int(value)
    if isinstance(value, Decimal):
        return None, "must be a whole number of credits, not a fraction"
    if isinstance(value, bool) or not isinstance(value, int):
        return None, "must be a whole number of credits"
    if value < 0:
        return None, "must not be negative"
    if value > WHOLE_NUMBER_MAX:
        return None, f"must not be beyond {WHOLE_NUMBER_MAX}"
    return value, None


def split_ui_meta(description: str) -> tuple[str, UiMeta]:
    """Return the description without its UIMeta, and what that says."""
    match = _UI_META.search(description)
    if match is None:
        shown, meta = description.strip(), UiMeta()
    else:
        before, after = description[: match.start()].rstrip(), description[match.end() :]
        joint = "" if not before or after[:1] in "\n.,;:" else " "
        shown, meta = (before + joint + after.lstrip(" ")).strip(), _ui_meta(match.group(1))
    if _UI_META_BEGINS.search(shown):
        # Else a variable that was to be hidden would be shown without a word.
        meta = replace(meta, warnings=(*meta.warnings, _NOT_READ))
    return shown, meta


def _ui_meta(text: str) -> UiMeta:
    group, order, update_safe = 1, 0, False
    options: list[str] = []
    warnings: list[str] = []
    key = ""
    # Spaces become one first: a pattern that looks for many takes time squared in their number.
    for word in re.sub(r" ?([=,]) ?", r"\1", " ".join(text.split())).split(" "):
        name, equals, value = word.partition("=")
        if not equals and name.lower() in _FLAGS:
            update_safe = update_safe or name.lower() == "updatesafe"
            key = ""
        elif not equals and key == "options" and options:
            # An option of several words: the rest of what the word before began.
            first, *rest = word.split(",")
            options[-1] += f" {first}"
            options += rest
        elif equals:
            key = name.lower()
            if key == "options":
                options += value.split(",")
            elif key in {"group", "order"} and not _is_place(value):
                warnings.append(f"UIMeta: {key} is not a whole number")
            elif key == "group":
                group = int(value)
            elif key == "order":
                order = int(value)
    return UiMeta(
        group=group,
        order=order,
        options=tuple(cleaned for option in options if (cleaned := option.strip("\"' "))),
        update_safe=update_safe,
        warnings=tuple(warnings),
    )


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < len(str(_PLACE_MAX))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
