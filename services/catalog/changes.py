"""How one version of a module differs from the one before, for whoever has it deployed.

Breaking is what can make values that were good until now, or whoever reads an output, fail.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from services.catalog.definition import Definition, Output, Variable
from services.catalog.events import Change, Content

TEXT_LENGTH_MAX: Final = 500
_SHOWN: Final = ("description", "group", "order")


_TOLD: Final = ("title", "description", "documentation", "tags", "dependencies", "readme")
_PLACES: Final = ("repository", "path", "archive_folder")


def changes_of(before: Content, after: Content) -> tuple[Change, ...]:
    """Return all that makes this another version: of the module itself, then of what it declares.

    A change of the module itself names no variable.
    """
    texts = [
        *_price_changes(before.definition, after.definition),
        *_module_changes(before, after),
    ]
    declared = changes_between(before.definition, after.definition)
    if not texts and not declared:
        # Any other change is in a file, too; only when there is none this is worth saying.
        texts = [_compatible("its files changed, or those it uses")]
    return (
        *(Change(variable=None, change=text, breaking=breaking) for text, breaking in texts),
        *declared,
    )


def changes_between(before: Definition, after: Definition) -> tuple[Change, ...]:
    """Return the changes of variables and outputs, by name, variables first."""
    return (
        *_between(before.variables, after.variables, _variable_changes, _added_variable),
        *_between(
            before.outputs, after.outputs, _output_changes, lambda _: [_compatible("output added")]
        ),
    )


Text = tuple[str, bool]


def _breaking(text: str) -> Text:
    return text, True


def _compatible(text: str) -> Text:
    return text, False


def _price_changes(before: Definition, after: Definition) -> Iterator[Text]:
    if before.credit_cost != after.credit_cost:
        yield _compatible(f"costs {after.credit_cost} credits, {before.credit_cost} until now")
    if before.require_credit_purchases != after.require_credit_purchases:
        only = after.require_credit_purchases
        yield _compatible(
            "only credits that were bought pay for it now" if only else "any credits pay for it now"
        )
    if before.public_access != after.public_access:
        yield _compatible("others see it now" if after.public_access else "others see it no more")


def _module_changes(before: Content, after: Content) -> Iterator[Text]:
    old, new = before.definition, after.definition
    if told := [name for name in _TOLD if getattr(old, name) != getattr(new, name)]:
        yield _compatible(f"says something else: {', '.join(told)}")
    if any(getattr(before, name) != getattr(after, name) for name in _PLACES):
        yield _compatible("was moved")


def _between(before: Sequence[Any], after: Sequence[Any], compare: Any, added: Any) -> list[Change]:
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    changes: list[Change] = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            what = "output removed" if isinstance(old[name], Output) else "removed"
            texts = [_breaking(what)]
        elif name not in old:
            texts = added(new[name])
        else:
            texts = list(compare(old[name], new[name]))
        changes += [
            Change(variable=name, change=text[:TEXT_LENGTH_MAX], breaking=breaking)
            for text, breaking in texts
        ]
    return changes


def _added_variable(variable: Variable) -> list[Text]:
    if variable.required:
        return [_breaking("added, and required")]
    return [_compatible("added, with a default")]


def _variable_changes(before: Variable, after: Variable) -> Iterator[Text]:
    if before.type != after.type:
        text = f"type changed from {before.type} to {after.type}"
        yield text, after.type != "any"
    if after.required and not before.required:
        yield _breaking("default removed: it is required now")
    elif before.required and not after.required:
        yield _compatible("default added: it is no longer required")
    elif _differs(before.default, after.default):
        yield _compatible("default changed")
    yield from _option_changes(before, after)
    if before.validations != after.validations:
        stricter = any(each not in before.validations for each in after.validations)
        yield ("validations changed", True) if stricter else _compatible("validations removed")
    if before.nullable != after.nullable:
        yield (
            ("may be null now", False) if after.nullable else _breaking("may not be null any more")
        )
    if before.sensitive != after.sensitive:
        yield _compatible("sensitive now" if after.sensitive else "no longer sensitive")
    if before.update_safe != after.update_safe:
        yield _compatible("update-safe now" if after.update_safe else "no longer update-safe")
    if (before.group == 0) != (after.group == 0):
        yield ("hidden now", True) if after.group == 0 else _compatible("shown now")
    elif any(getattr(before, name) != getattr(after, name) for name in _SHOWN):
        yield _compatible("described or placed differently")


def _option_changes(before: Variable, after: Variable) -> Iterator[Text]:
    old = {msgspec.json.encode(option): option for option in before.options}
    new = {msgspec.json.encode(option): option for option in after.options}
    if old.keys() == new.keys():
        return
    if not new:
        yield _compatible("options removed: any value is allowed")
    elif not old:
        yield _breaking(f"only options are allowed now: {_listed(new)}")
    else:
        gone = [option for option in old if option not in new]
        come = [option for option in new if option not in old]
        if gone:
            yield _breaking(f"options removed: {_listed(gone)}")
        if come:
            yield _compatible(f"options added: {_listed(come)}")


def _listed(options: Any) -> str:
    return ", ".join(option.decode() for option in options)


def _output_changes(before: Output, after: Output) -> Iterator[Text]:
    if before.sensitive != after.sensitive:
        yield _compatible("output sensitive now" if after.sensitive else "output shown now")
    if before.description != after.description:
        yield _compatible("output described differently")


def _differs(before: Any, after: Any) -> bool:
    return msgspec.json.encode(before) != msgspec.json.encode(after)
