"""What each service may do on the bus: the least that its part in the topology needs.

Pure values in the notation of NATS' `permissions`, so that the embedded server, containers and
Kubernetes configure the same rights. A service publishes under its own name, reads through its own
durable consumers, and can neither make nor change nor delete a stream or consumer.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

from contracts.subjects import LOG_STREAM, facts_stream
from runtime.bus_topology import Topology, consumers, inbox_prefix

LOG_SUBJECTS: Final = "tollgate.logs.>"


class Subjects(TypedDict):
    """Subjects that are allowed; all others are not."""

    allow: list[str]


class Permissions(TypedDict):
    """What a user of NATS may publish and subscribe to."""

    publish: Subjects
    subscribe: Subjects


def permissions(topology: Topology, *, log_writers: Sequence[str]) -> Mapping[str, Permissions]:
    """Return service → its rights. `log_writers` are the services that may publish log lines."""
    return {
        service: Permissions(
            publish=Subjects(
                allow=sorted(_publishes(topology, service, may_log=service in log_writers))
            ),
            subscribe=Subjects(allow=[f"{inbox_prefix(service)}.>"]),
        )
        for service in topology.services
    }


def _publishes(topology: Topology, service: str, *, may_log: bool) -> set[str]:
    own = facts_stream(service)
    # What it said last, to see at its start whether its database is as new as that.
    looks = {f"$JS.API.STREAM.INFO.{own}", f"$JS.API.DIRECT.GET.{own}"}
    subjects = {f"tollgate.{service}.>", *looks}
    if may_log:
        subjects |= {LOG_SUBJECTS, f"$JS.API.STREAM.INFO.{LOG_STREAM}"}
    for stream, consumer in consumers(topology):
        if consumer.durable_name == service:
            subjects |= {
                f"$JS.API.STREAM.INFO.{stream}",
                f"$JS.API.CONSUMER.INFO.{stream}.{service}",
                f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{service}",
                f"$JS.ACK.{stream}.{service}.>",
            }
    return subjects
