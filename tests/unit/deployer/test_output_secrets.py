"""Whichever comes first, that an output is sensitive or what it is: it is hidden from then on."""

from itertools import permutations
from typing import Any

import pytest

from services.deployer.runner.output_secrets import OutputSecrets

OPEN = {"value": "public", "sensitive": False}
BEFORE = {"told": {"value": "earlier", "sensitive": False}, "open": OPEN}
AFTER = {"told": {"value": "later", "sensitive": True}, "open": OPEN}


@pytest.mark.parametrize("order", list(permutations(("before", "plan", "after"))))
def test_old_and_new_values_of_what_is_sensitive_are_hidden_and_no_others(
    order: tuple[str, ...],
) -> None:
    hidden: list[Any] = []
    secrets = OutputSecrets(hidden.extend)
    for step in order:
        match step:
            case "before":
                secrets.are_in(BEFORE)
            case "plan":
                secrets.are_sensitive(["told"])
            case _:
                secrets.are_in(AFTER)
    assert set(hidden) == {"earlier", "later"}


def test_the_plan_is_enough_to_hide_what_an_output_was() -> None:
    hidden: list[Any] = []
    secrets = OutputSecrets(hidden.extend)
    secrets.are_in(BEFORE)
    assert hidden == []
    secrets.are_sensitive(["told"])
    assert hidden == ["earlier"]
