"""Every message that exists, who sends it, and who follows what.

A service follows kinds of streams, never single types: order and completeness are per stream, so
whoever follows a stream takes all of it.
"""

from types import ModuleType
from typing import Any, Final

from contracts.catalog import v1 as catalog_v1
from contracts.deployer import v1 as deployer_v1
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.gateway import v1 as gateway_v1
from contracts.ledger import v1 as ledger_v1
from contracts.revenue import v1 as revenue_v1

SERVICES: Final = ("catalog", "deployer", "ledger", "revenue", "gateway")

FOLLOWS: Final[dict[str, frozenset[tuple[str, str]]]] = {
    "catalog": frozenset({("gateway", "request"), ("deployer", "deployment")}),
    "deployer": frozenset(
        {("gateway", "request"), ("gateway", "settings"), ("catalog", "module"), ("ledger", "wallet")}
    ),
    "ledger": frozenset(
        {
            ("gateway", "request"),
            ("gateway", "user"),
            ("gateway", "settings"),
            ("deployer", "deployment"),
        }
    ),
    "revenue": frozenset({("ledger", "wallet")}),
    "gateway": frozenset(
        {
            ("catalog", "module"),
            ("catalog", "sync"),
            ("catalog", "refusal"),
            ("deployer", "deployment"),
            ("deployer", "refusal"),
            ("ledger", "wallet"),
            ("ledger", "refusal"),
            ("revenue", "revenue"),
            ("revenue", "payee"),
            ("revenue", "refusal"),
        }
    ),
}
"""Service → the (producer, kind of stream) pairs that it consumes, whole."""

REQUESTS: Final[dict[str, tuple[type[Event], ...]]] = {
    "catalog": (gateway_v1.SyncRequested,),
    "deployer": (gateway_v1.DeploymentRequested, gateway_v1.DeploymentCancelRequested),
    "ledger": (
        gateway_v1.AwardRequested,
        gateway_v1.AdjustmentRequested,
        gateway_v1.PurchaseRequested,
    ),
    "revenue": (),
    "gateway": (),
}
"""Service → the requests that it answers. Each request is a stream of its own, so it may choose."""


def _classes(module: ModuleType) -> list[type[Event]]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Event)
        and value.__module__ == module.__name__
        and "fact" in _all_class_vars(value)
        and hasattr(value, "service")
    ]
    return sorted(found, key=lambda cls: cls.type_name())


def _all_class_vars(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name in vars(base)}


MODULES: Final = (catalog_v1, deployer_v1, ledger_v1, revenue_v1, gateway_v1)

EVENTS: Final[dict[str, type[Event]]] = {
    cls.type_name(): cls for module in MODULES for cls in _classes(module)
}
"""CloudEvents type → class, for every message of every version."""

PUBLISHES: Final[dict[str, frozenset[str]]] = {
    service: frozenset(event.kind for event in EVENTS.values() if event.service == service)
    for service in SERVICES
}
"""Service → the kinds of streams that it publishes."""

_ENVELOPES: Final[dict[str, Any]] = {name: Envelope[cls] for name, cls in EVENTS.items()}  # type: ignore[valid-type]


class UnknownTypeError(ValueError):
    """A message says that it is of a type that this release does not know."""

    def __init__(self, type_name: str) -> None:
        super().__init__(f"unknown message type {type_name!r}")
        self.type_name = type_name


def decode(type_name: str, body: bytes) -> Envelope[Any]:
    """Return the envelope in `body`, checked against its own contract.

    `UnknownTypeError` where the type is not known, `pydantic.ValidationError` where it does not
    fit its contract, or says a type of its own that is another one.
    """
    model = _ENVELOPES.get(type_name)
    if model is None:
        raise UnknownTypeError(type_name)
    envelope: Envelope[Any] = model.model_validate_json(body)
    if envelope.type != type_name:
        raise UnknownTypeError(envelope.type)
    return envelope


def type_of_subject(subject: str) -> str:
    """Return the type that a NATS subject carries: the subject without the kind of stream."""
    root, service, _kind, fact, version = subject.split(".")
    return f"{root}.{service}.{fact}.{version}"
