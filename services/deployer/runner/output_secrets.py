"""What of a deployment's outputs is to be hidden: old values and new ones of all that is sensitive.

An output may become sensitive by an update. What it was before is in the state that is there, and
Terraform says which are to be sensitive as soon as it has a plan, before anything is changed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


class OutputSecrets:
    """Hands the values of sensitive outputs to `hide`, whichever is known first, name or value."""

    def __init__(self, hide: Callable[[list[Any]], None]) -> None:
        self._hide = hide
        self._names: set[str] = set()
        self._values: dict[str, list[Any]] = {}

    def are_sensitive(self, names: Iterable[str]) -> None:
        """Note that these outputs are, or are to be."""
        new = set(names) - self._names
        self._names |= new
        self._hide([value for name in new for value in self._values.get(name, ())])

    def are_in(self, outputs: Mapping[str, Mapping[str, Any]]) -> None:
        """Note the outputs of a state, as `outputs_in` returns them."""
        self.are_sensitive(name for name, output in outputs.items() if output["sensitive"])
        for name, output in outputs.items():
            known = self._values.setdefault(name, [])
            if output["value"] not in known:
                known.append(output["value"])
        self._hide([output["value"] for name, output in outputs.items() if name in self._names])
