"""Messages that can be read: from bytes to the newest version that this release knows.

A `Registry` is a value, made from classes and upcasters. The system's own is
`contracts.registry.REGISTRY`; a test may make another one.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from contracts.envelope import Envelope
from contracts.events import Event
from contracts.upcasters import AnyUpcaster


class RegistryError(ValueError):
    """Classes and upcasters do not make a whole: all that is wrong, in `problems`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class UnknownTypeError(ValueError):
    """A message says that it is of a type that this release does not know."""

    def __init__(self, type_name: str) -> None:
        super().__init__(f"unknown message type {type_name[:200]!r}")
        self.type_name = type_name


class MisaddressedError(ValueError):
    """A message's attributes say something else than its type does."""

    def __init__(self, type_name: str, attribute: str, value: str, expected: str) -> None:
        super().__init__(f"{type_name}: {attribute} is {value!r}, not {expected!r}")
        self.type_name = type_name
        self.attribute = attribute


class Registry:
    """All messages of all versions, and how old ones become new ones."""

    def __init__(
        self, classes: Iterable[type[Event]], upcasters: Iterable[AnyUpcaster] = ()
    ) -> None:
        known, steps = list(classes), list(upcasters)
        problems = [*_version_problems(known), *_step_problems(known, steps)]
        if problems:
            raise RegistryError(problems)
        self.events: Final[Mapping[str, type[Event]]] = MappingProxyType(
            {cls.type_name(): cls for cls in sorted(known, key=_place)}
        )
        self._steps = {step.old.type_name(): step for step in steps}
        self._envelopes: dict[str, Any] = {
            name: Envelope[cls]  # type: ignore[valid-type]  # known only at run time
            for name, cls in self.events.items()
        }

    def newest(self, type_name: str) -> type[Event]:
        """Return the class that a message of that type reaches readers as."""
        step = self._steps.get(type_name)
        while step is not None:
            type_name = step.new.type_name()
            step = self._steps.get(type_name)
        return self.events[type_name]

    def decode(self, type_name: str, body: bytes) -> Envelope[Any]:
        """Return the envelope in `body`, checked against its own contract, in the newest version.

        Id, stream and sequence stay those of the message that was sent. Errors are those of
        `decode_as_sent`.
        """
        envelope = self.decode_as_sent(type_name, body)
        step = self._steps.get(type_name)
        if step is None:
            return envelope
        data: Any = envelope.data
        while step is not None:
            data = step.up(data)
            step = self._steps.get(data.type_name())
        attributes = dict(envelope) | {
            "type": data.type_name(),
            "dataschema": data.schema_id(),
            "data": data,
        }
        newer: Envelope[Any] = self._envelopes[data.type_name()].model_construct(**attributes)
        return newer

    def decode_as_sent(self, type_name: str, body: bytes) -> Envelope[Any]:
        """Return the envelope in `body` in the version that it was sent in.

        `UnknownTypeError` where the type is not known, `pydantic.ValidationError` where the body
        does not fit its contract, `MisaddressedError` where its attributes belong to another
        type. All of them are `ValueError`s.
        """
        model = self._envelopes.get(type_name)
        if model is None:
            raise UnknownTypeError(type_name)
        envelope: Envelope[Any] = model.model_validate_json(body)
        _check_attributes(self.events[type_name], envelope)
        return envelope


def _check_attributes(cls: type[Event], envelope: Envelope[Any]) -> None:
    """Refuse what would be followed, ordered or traced as something else than it is."""
    kind = envelope.subject.partition("-")[0]
    said = (envelope.type, envelope.source, envelope.dataschema, kind)
    address = _address(cls)
    if said == address:
        return
    for attribute, value, expected in zip(_ADDRESS, said, address, strict=True):
        if value != expected:
            raise MisaddressedError(cls.type_name(), attribute, value, expected)


_ADDRESS: Final = ("type", "source", "dataschema", "kind of stream")


@cache
def _address(cls: type[Event]) -> tuple[str, str, str, str]:
    """Return what the attributes of a message of this class say, in the order of `_ADDRESS`."""
    return cls.type_name(), f"/tollgate/{cls.service}", cls.schema_id(), cls.kind


def _place(cls: type[Event]) -> tuple[str, str, int]:
    return cls.service, cls.fact, cls.contract_version


def _version_problems(classes: Iterable[type[Event]]) -> list[str]:
    """Return where versions of a fact repeat, or are not 1, 2, 3 and so on."""
    problems = []
    for (service, fact), group in groupby(sorted(classes, key=_place), key=lambda c: _place(c)[:2]):
        versions = [cls.contract_version for cls in group]
        if versions != list(range(1, len(versions) + 1)):
            problems.append(f"{service}.{fact}: versions {versions} are not 1, 2, 3 and so on")
    return problems


def _step_problems(classes: Iterable[type[Event]], steps: Iterable[AnyUpcaster]) -> list[str]:
    """Return which upcasters do not fit, and which old versions do not have exactly one."""
    by_type = {cls.type_name(): cls for cls in classes}
    problems = [misfit for step in steps if (misfit := step.misfit())]
    count = dict.fromkeys(by_type, 0)
    for step in steps:
        problems += [
            f"an upcaster uses {cls.type_name()}, which is not registered"
            for cls in (step.old, step.new)
            if by_type.get(cls.type_name()) is not cls
        ]
        count[step.old.type_name()] = count.get(step.old.type_name(), 0) + 1
    successors = {(cls.service, cls.fact, cls.contract_version - 1) for cls in by_type.values()}
    for name, cls in by_type.items():
        wanted = 1 if _place(cls) in successors else 0
        if count[name] != wanted:
            problems.append(f"{name} has {count[name]} upcasters, not {wanted}")
    return problems
