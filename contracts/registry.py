"""Every message that exists, who sends it, and who follows what.

A service follows kinds of streams, never single types: order and completeness are per stream, so
whoever follows a stream takes all of it.
"""

from types import ModuleType
from typing import Final

from contracts.catalog import v1 as catalog_v1
from contracts.decoding import MisaddressedError, Registry, UnknownTypeError
from contracts.deployer import v1 as deployer_v1
from contracts.events import Event
from contracts.gateway import v1 as gateway_v1
from contracts.ledger import v1 as ledger_v1
from contracts.revenue import v1 as revenue_v1
from contracts.upcasters import AnyUpcaster

__all__ = [
    "EVENTS",
    "FOLLOWS",
    "MODULES",
    "PUBLISHES",
    "REGISTRY",
    "REQUESTS",
    "SERVICES",
    "UPCASTERS",
    "MisaddressedError",
    "Registry",
    "UnknownTypeError",
    "classes_in",
    "consumers",
    "decode",
    "type_of_subject",
]

SERVICES: Final = ("catalog", "deployer", "ledger", "revenue", "gateway")

FOLLOWS: Final[dict[str, frozenset[tuple[str, str]]]] = {
    "catalog": frozenset({("gateway", "request"), ("deployer", "deployment")}),
    "deployer": frozenset(
        {
            ("gateway", "request"),
            ("gateway", "settings"),
            ("catalog", "module"),
            ("ledger", "wallet"),
        }
    ),
    "ledger": frozenset(
        {
            ("gateway", "request"),
            ("gateway", "user"),
            ("gateway", "settings"),
            ("deployer", "deployment"),
        }
    ),
    "revenue": frozenset(
        {
            ("gateway", "request"),
            ("gateway", "user"),
            ("ledger", "wallet"),
            ("ledger", "period"),
        }
    ),
    "gateway": frozenset(
        {
            ("catalog", "module"),
            ("catalog", "sync"),
            ("catalog", "refusal"),
            ("deployer", "deployment"),
            ("deployer", "refusal"),
            ("ledger", "wallet"),
            ("ledger", "period"),
            ("ledger", "checkout"),
            ("ledger", "verification"),
            ("ledger", "refusal"),
            ("revenue", "revenue"),
            ("revenue", "payee"),
            ("revenue", "statement"),
            ("revenue", "month"),
            ("revenue", "webhook"),
            ("revenue", "refusal"),
        }
    ),
}
"""Service → the (producer, kind of stream) pairs that it consumes, whole."""

REQUESTS: Final[dict[str, tuple[type[Event], ...]]] = {
    "catalog": (
        gateway_v1.SyncRequested,
        gateway_v1.RatingRequested,
        gateway_v1.FeatureRequested,
    ),
    "deployer": (
        gateway_v1.DeploymentRequested,
        gateway_v1.DeploymentCancelRequested,
        gateway_v1.DeploymentUpdateRequested,
        gateway_v1.DeploymentDestroyRequested,
        gateway_v1.DeploymentRetryRequested,
    ),
    "ledger": (
        gateway_v1.AwardRequested,
        gateway_v1.AdjustmentRequested,
        gateway_v1.PurchaseRequested,
        gateway_v1.CheckoutRequested,
        gateway_v1.CheckoutCheckRequested,
        gateway_v1.StripeEventReceived,
        gateway_v1.SettlementRefundRequested,
        gateway_v1.LedgerVerificationRequested,
    ),
    "revenue": (
        gateway_v1.PeriodCloseRequested,
        gateway_v1.WebhookRegistrationRequested,
        gateway_v1.WebhookChangeRequested,
        gateway_v1.WebhookRemovalRequested,
        gateway_v1.WebhookRotationRequested,
        gateway_v1.WebhookTestRequested,
        gateway_v1.WebhookResendRequested,
    ),
    "gateway": (),
}
"""Service → the requests that it answers. Each request is a stream of its own, so it may choose."""


MODULES: Final = (catalog_v1, deployer_v1, ledger_v1, revenue_v1, gateway_v1)
"""Every module of messages; a service's `v2` stands here beside its `v1`."""

UPCASTERS: Final[tuple[AnyUpcaster, ...]] = ()
"""The `UPCASTERS` of every service that has a second version of anything."""


def classes_in(module: ModuleType) -> list[type[Event]]:
    """Return the messages that a module defines: the classes that name a fact of their own."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Event)
        and value.__module__ == module.__name__
        and hasattr(value, "service")
        and hasattr(value, "fact")
    ]


REGISTRY: Final = Registry((cls for module in MODULES for cls in classes_in(module)), UPCASTERS)

EVENTS: Final = REGISTRY.events
"""CloudEvents type → class, for every message of every version."""

PUBLISHES: Final[dict[str, frozenset[str]]] = {
    service: frozenset(cls.kind for cls in EVENTS.values() if cls.service == service)
    for service in SERVICES
}
"""Service → the kinds of streams that it publishes."""

decode: Final = REGISTRY.decode
"""See `Registry.decode`: the envelope in a body, checked, in the newest version."""


def type_of_subject(subject: str) -> str:
    """Return the type that a NATS subject carries: the subject without the kind of stream."""
    match subject.split("."):
        case [root, service, _kind, fact, version]:
            return f"{root}.{service}.{fact}.{version}"
        case _:
            raise UnknownTypeError(subject)


def consumers(cls: type[Event]) -> tuple[str, ...]:
    """Return the services that read a message, in the order of `SERVICES`."""
    return tuple(
        service
        for service in SERVICES
        if (cls.service, cls.kind) in FOLLOWS[service]
        and (cls.kind != "request" or cls in REQUESTS[service])
    )
