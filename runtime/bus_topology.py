"""Which JetStream streams and consumers there are: pure values, from who follows what.

`tollgate bus migrate` makes them so (`runtime.bus_migrate`), a service only binds to them and
refuses to start where they differ (`drift`). NATS users' rights follow from the same values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from contracts.events import Event
from contracts.subjects import LOG_STREAM, REQUEST_KIND, REQUEST_STREAM, facts_stream

REQUEST_AGE_SECONDS: Final = 24 * 3600
LOG_AGE_SECONDS: Final = 24 * 3600
LOG_BYTES_MAX: Final = 2 * 1024**3
DUPLICATE_WINDOW_SECONDS: Final = 120
ACK_WAIT_SECONDS: Final = 30
ACK_PENDING_MAX: Final = 4_000
MESSAGE_BYTES_MAX: Final = 8 * 1024**2


@dataclass(frozen=True)
class Topology:
    """Services, the kinds of streams each publishes and follows, the requests each answers."""

    services: tuple[str, ...]
    publishes: Mapping[str, frozenset[str]]
    follows: Mapping[str, frozenset[tuple[str, str]]]
    requests: Mapping[str, tuple[type[Event], ...]]

    def sources(self, service: str) -> dict[str, list[str]]:
        """Return the JetStream streams a service consumes → the subjects of each it takes."""
        found: dict[str, list[str]] = {}
        for producer, kind in sorted(self.follows[service]):
            if kind == REQUEST_KIND:
                subjects = sorted(event.bus_subject() for event in self.requests[service])
                if subjects:
                    found[REQUEST_STREAM] = subjects
            else:
                found.setdefault(facts_stream(producer), []).append(f"tollgate.{producer}.{kind}.>")
        return found

    def followed_kinds(self, service: str) -> frozenset[str]:
        """Return the kinds of streams a service follows, without requests."""
        return frozenset(kind for _, kind in self.follows[service] if kind != REQUEST_KIND)


def inbox_prefix(service: str) -> str:
    """Return where a service gets its replies: its own, so that no other may listen there."""
    return f"_INBOX_{service}"


def streams(topology: Topology, *, replicas: int = 1) -> list[StreamConfig]:
    """Return every stream's configuration."""
    facts = [
        _stream(facts_stream(service), _fact_subjects(topology, service), replicas)
        for service in topology.services
    ]
    requests = _stream(REQUEST_STREAM, [f"tollgate.gateway.{REQUEST_KIND}.>"], replicas)
    requests.max_age = REQUEST_AGE_SECONDS
    logs = _stream(LOG_STREAM, ["tollgate.logs.>"], replicas)
    logs.max_age = LOG_AGE_SECONDS
    logs.max_bytes = LOG_BYTES_MAX
    return [*facts, requests, logs]


def _fact_subjects(topology: Topology, service: str) -> list[str]:
    """Return the subjects of a service's facts, kind by kind: JetStream refuses overlaps."""
    kinds = topology.publishes[service] - {REQUEST_KIND}
    return [f"tollgate.{service}.{kind}.>" for kind in sorted(kinds)]


def _stream(name: str, subjects: list[str], replicas: int) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        num_replicas=replicas,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        max_msg_size=MESSAGE_BYTES_MAX,
        allow_direct=True,
        allow_atomic=None if name == LOG_STREAM else True,
        deny_delete=True,
    )


def consumers(topology: Topology) -> list[tuple[str, ConsumerConfig]]:
    """Return every durable consumer as (stream, configuration), called by its service."""
    found = [
        (stream, _consumer(service, subjects))
        for service in topology.services
        for stream, subjects in topology.sources(service).items()
    ]
    found.append((LOG_STREAM, _consumer("gateway", ["tollgate.logs.>"])))
    return found


def _consumer(service: str, subjects: Iterable[str]) -> ConsumerConfig:
    """Redelivery has no limit here: what cannot be handled is set aside by the service itself."""
    return ConsumerConfig(
        durable_name=service,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        max_deliver=-1,
        max_ack_pending=ACK_PENDING_MAX,
        max_waiting=64,
        filter_subjects=sorted(subjects),
    )


def drift(wanted: StreamConfig | ConsumerConfig, found: StreamConfig | ConsumerConfig) -> list[str]:
    """Return what differs, as `field: found, not wanted`; only what we set is compared."""
    differences = []
    for name, value in vars(wanted).items():
        actual = getattr(found, name, None)
        if value is None or value == actual:
            continue
        if isinstance(value, list) and sorted(value) == sorted(actual or []):
            continue
        differences.append(f"{name}: {actual!r}, not {value!r}")
    return differences
