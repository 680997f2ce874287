from typing import Any

import pytest

from services.catalog.changes import changes_between
from services.catalog.definition import Definition, Output, Validation, Variable


def module(*parts: Variable | Output) -> Definition:
    return Definition(
        name="web",
        title="Web",
        credit_cost=5,
        variables=tuple(part for part in parts if isinstance(part, Variable)),
        outputs=tuple(part for part in parts if isinstance(part, Output)),
    )


def variable(**fields: Any) -> Variable:
    return Variable(**{"name": "v", "type": "string", "required": True, **fields})


RULE = Validation(condition="var.v > 0", message="", decidable=True)


@pytest.mark.parametrize(
    ("before", "after", "change", "breaking"),
    [
        (None, {}, "added, and required", True),
        (None, {"required": False}, "added, with a default", False),
        ({}, None, "removed", True),
        ({}, {"type": "number"}, "type changed from string to number", True),
        ({}, {"type": "any"}, "type changed from string to any", False),
        ({"required": False}, {}, "default removed: it is required now", True),
        ({}, {"required": False}, "default added: it is no longer required", False),
        (
            {"required": False, "default": 1},
            {"required": False, "default": True},
            "default changed",
            False,
        ),
        ({"options": ("a", "b")}, {"options": ("a",)}, 'options removed: "b"', True),
        ({"options": ("a",)}, {"options": ("a", "b")}, 'options added: "b"', False),
        ({}, {"options": ("a",)}, 'only options are allowed now: "a"', True),
        ({"options": ("a",)}, {}, "options removed: any value is allowed", False),
        ({}, {"validations": (RULE,)}, "validations changed", True),
        ({"validations": (RULE,)}, {}, "validations removed", False),
        ({}, {"nullable": False}, "may not be null any more", True),
        ({"nullable": False}, {}, "may be null now", False),
        ({}, {"sensitive": True}, "sensitive now", False),
        ({}, {"update_safe": True}, "update-safe now", False),
        ({}, {"group": 0}, "hidden now", True),
        ({"group": 0}, {}, "shown now", False),
        ({}, {"group": 2}, "described or placed differently", False),
        ({}, {"description": "New."}, "described or placed differently", False),
    ],
)
def test_a_change_of_a_variable_is_named_and_judged(
    before: dict[str, Any] | None, after: dict[str, Any] | None, change: str, *, breaking: bool
) -> None:
    old = module() if before is None else module(variable(**before))
    new = module() if after is None else module(variable(**after))
    [found] = changes_between(old, new)
    assert (found.variable, found.change, found.breaking) == ("v", change, breaking)


def test_a_change_of_an_output_is_named_and_judged() -> None:
    old = module(Output(name="gone"), Output(name="same"), Output(name="secret"))
    new = module(Output(name="new"), Output(name="same"), Output(name="secret", sensitive=True))
    assert [(c.variable, c.change, c.breaking) for c in changes_between(old, new)] == [
        ("gone", "output removed", True),
        ("new", "output added", False),
        ("secret", "output sensitive now", False),
    ]


def test_what_is_the_same_has_no_changes() -> None:
    whole = module(variable(options=("a",), default=["a"], required=False), Output(name="o"))
    assert changes_between(whole, whole) == ()
