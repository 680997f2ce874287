"""Resources that Terraform has made, and no state has: who is killed writes nothing down.

Terraform hands its state over when it ends, and every 20 seconds before. What a killed one made
after that exists nevertheless, and only what it printed tells of it.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

MADE_MAX: Final = 10_000
"""Of so many resources at most it is remembered that they were made."""
_TELLS_COMPLETION: Final = '"type":"apply_complete"'


class Unrecorded:
    """Remembers what was made, by its address, and says what of it no state has."""

    def __init__(self) -> None:
        self._made: dict[str, str] = {}

    def take(self, line: str) -> None:
        """Take a line of `-json` output, or of anything else."""
        if _TELLS_COMPLETION not in line:
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return
        match message:
            case {"hook": {"action": "create", "resource": {"addr": str(address)}, **hook}}:
                if len(self._made) < MADE_MAX:
                    self._made[address] = _named(address, hook)
            case {"hook": {"action": "delete", "resource": {"addr": str(address)}}}:
                self._made.pop(address, None)
            case _:
                pass

    def left(self, states: Iterable[bytes]) -> list[str]:
        """Return what none of these states has, as `address (id=value)`, in the order of making."""
        if not self._made:
            return []
        known = {address for state in states for address in _addresses_in(state)}
        return [named for address, named in self._made.items() if address not in known]


def _named(address: str, hook: dict[Any, Any]) -> str:
    key, value = hook.get("id_key"), hook.get("id_value")
    return f"{address} ({key}={value})" if key and value else address


def _addresses_in(state: bytes) -> Iterator[str]:
    """Yield the addresses of what a state (version 4) manages, written as Terraform does.

    https://developer.hashicorp.com/terraform/cli/state/resource-addressing
    """
    try:
        resources = json.loads(state)["resources"]
        for resource in resources:
            if resource["mode"] != "managed":
                continue
            module = f"{resource['module']}." if "module" in resource else ""
            address = f"{module}{resource['type']}.{resource['name']}"
            for instance in resource["instances"]:
                index = instance.get("index_key")
                yield address if index is None else f"{address}[{_quoted(index)}]"
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        # No state has nothing, nor has a part of one that we do not know the shape of.
        return


def _quoted(index: object) -> str:
    """Return a key as an address has it: `0`, or `"name"`, where `${` and `%{` are escaped."""
    text = json.dumps(index, ensure_ascii=False)
    return text.replace("${", "$${").replace("%{", "%%{") if isinstance(index, str) else text
