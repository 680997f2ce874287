"""Which modules a user has pinned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.decider.pins import (
    PINS_MAX,
    PinModule,
    TooManyPinsRefusal,
    decide_pins,
    evolve_pins,
)
from services.gateway.events import ModulePinned, ModuleUnpinned, Pins

FULL = Pins(tuple(f"m-{number}" for number in range(PINS_MAX)))


@pytest.mark.parametrize(
    ("pinned", "given_pins", "facts"),
    [
        (True, Pins(), [ModulePinned("m-1")]),
        (True, Pins(("m-1",)), []),
        (True, FULL, []),
        (False, Pins(), []),
        (False, Pins(("m-2", "m-1")), [ModuleUnpinned("m-1")]),
        (False, FULL, [ModuleUnpinned("m-1")]),
    ],
)
def test_a_pin_set_or_taken_off_twice_is_one(
    pinned: bool, given_pins: Pins, facts: list[object]
) -> None:
    assert decide_pins(PinModule("m-1", pinned=pinned), given_pins) == facts


def test_there_is_an_end_to_pins() -> None:
    with pytest.raises(TooManyPinsRefusal) as refused:
        decide_pins(PinModule("another", pinned=True), FULL)
    assert refused.value.code == "TOO_MANY_PINS"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=30))
def test_what_is_pinned_is_what_was_last_wanted(wanted: list[tuple[str, bool]]) -> None:
    state = Pins()
    for module_id, pinned in wanted:
        for fact in decide_pins(PinModule(module_id, pinned=pinned), state):
            state = evolve_pins(state, fact)
    last = dict(wanted)
    assert set(state.module_ids) == {name for name, pinned in last.items() if pinned}
    assert len(state.module_ids) == len(set(state.module_ids))
