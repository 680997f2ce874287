"""The messages there are, handed to the runtime, which knows none of them."""

from typing import Final

from contracts import registry
from runtime.bus_topology import Topology
from runtime.process import Wiring

TOPOLOGY: Final = Topology(
    services=registry.SERVICES,
    publishes=registry.PUBLISHES,
    follows=registry.FOLLOWS,
    requests=registry.REQUESTS,
)

WIRING: Final = Wiring(
    topology=TOPOLOGY, decode=registry.decode, type_of_subject=registry.type_of_subject
)
