"""How a message of an older version becomes one of the next.

A released version never changes. What must change becomes a class of the next version, in the
service's `v2.py`, and a pure function from the old class to the new one, in the service's
`upcasters.py`. Readers then only ever meet the newest version; docs/contracts.md tells the steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from contracts.events import Event

Old = TypeVar("Old", bound=Event)
New = TypeVar("New", bound=Event)


@dataclass(frozen=True)
class Upcaster(Generic[Old, New]):
    """The step from one version of a message to the next.

    `up` is pure and total: it makes something of every old message that was ever valid.
    """

    old: type[Old]
    new: type[New]
    up: Callable[[Old], New]

    def misfit(self) -> str | None:
        """Return what is wrong with the step, or nothing.

        The two must be the same fact of the same stream, one version apart, and unrelated
        classes: where the new one inherits from the old one, `case Old()` would take both.
        """
        old, new = self.old, self.new
        step = f"{old.type_name()} → {new.type_name()}"
        if (old.service, old.kind, old.fact) != (new.service, new.kind, new.fact):
            return f"{step}: not the same fact of the same kind of stream"
        if new.contract_version != old.contract_version + 1:
            return f"{step}: not the next version"
        if issubclass(new, old):
            return f"{step}: the new class inherits from the old one"
        return None


AnyUpcaster = Upcaster[Any, Any]
