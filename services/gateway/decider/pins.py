"""Which modules a user has pinned. A pin set twice, or taken off twice, is one.

There is one refusal: too many pins.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from runtime.refusal import Refusal
from services.gateway.events import ModulePinned, ModuleUnpinned, Pins, PinsFact

PINS_MAX: Final = 200


class TooManyPinsRefusal(Refusal):
    """The user has pinned as many modules as anybody may."""


@dataclass(frozen=True)
class PinModule:
    """Put a module before all others, or no longer."""

    module_id: str
    pinned: bool


def decide_pins(command: PinModule, state: Pins) -> list[PinsFact]:
    """Return what happens to a user's pins."""
    if command.pinned == (command.module_id in state.module_ids):
        return []
    if not command.pinned:
        return [ModuleUnpinned(command.module_id)]
    if len(state.module_ids) >= PINS_MAX:
        detail = f"{PINS_MAX} modules are pinned already"
        raise TooManyPinsRefusal("TOO_MANY_PINS", detail)
    return [ModulePinned(command.module_id)]


def evolve_pins(state: Pins, fact: PinsFact) -> Pins:
    """Return the pins after the fact."""
    match fact:
        case ModulePinned(module_id=module_id):
            return Pins((*state.module_ids, module_id))
        case ModuleUnpinned(module_id=module_id):
            return Pins(tuple(each for each in state.module_ids if each != module_id))
        case _:
            assert_never(fact)
