"""Who may reach whom by the NetworkPolicies of an overlay, worked out as Kubernetes says it.

A connection needs leave on both sides. A pod that no policy of a direction selects has all leave in
that direction; one that is selected has what its policies name together.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Final

from tests.deploy.manifests import Manifest, of_kind, pods, selects

NAMESPACE: Final = "tollgate"


@dataclass(frozen=True)
class Place:
    """A pod, by its labels, its namespace's and its named ports; or an address outside."""

    namespace: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    of_namespace: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    address: str = "10.0.0.1"

    @property
    def namespace_labels(self) -> dict[str, str]:
        """The namespace's labels, with the one that Kubernetes gives it."""
        return {"kubernetes.io/metadata.name": self.namespace or "", **self.of_namespace}


def ours(overlay: str, name: str) -> Place:
    """Return the pods of a Deployment or Job."""
    manifest = (of_kind(overlay, "Deployment") | of_kind(overlay, "Job"))[name]
    ports = {
        port["name"]: port["containerPort"]
        for container in pods(overlay)[name]["containers"]
        for port in container.get("ports", ())
    }
    return Place(NAMESPACE, manifest["spec"]["template"]["metadata"]["labels"], {}, ports)


def reaches(overlay: str, source: Place, target: Place, port: int) -> bool:
    """Tell whether a connection comes about, by TCP."""
    policies = [each["spec"] for each in of_kind(overlay, "NetworkPolicy").values()]
    leaves = _has_leave(policies, "egress", source, target, _Port(port, target))
    return leaves and _has_leave(policies, "ingress", target, source, _Port(port, target))


@dataclass(frozen=True)
class _Port:
    number: int
    of: Place

    def is_named(self, told: dict[str, Any]) -> bool:
        """Tell whether a policy's port is this one; names are those of the pod that is reached."""
        if told.get("protocol", "TCP") != "TCP":
            return False
        wanted = told["port"]
        return self.number == (self.of.ports.get(wanted) if isinstance(wanted, str) else wanted)


def _has_leave(
    policies: list[Manifest], direction: str, whose: Place, peer: Place, port: _Port
) -> bool:
    if whose.namespace != NAMESPACE:
        return True
    selecting = [
        each
        for each in policies
        if direction.capitalize() in each["policyTypes"]
        and selects(each["podSelector"], whose.labels)
    ]
    if not selecting:
        return True
    key = "from" if direction == "ingress" else "to"
    return any(
        any(port.is_named(told) for told in rule["ports"])
        and any(_is_peer(told, peer) for told in rule[key])
        for each in selecting
        for rule in each.get(direction, ())
    )


def _is_peer(told: dict[str, Any], peer: Place) -> bool:
    if "ipBlock" in told:
        block, address = told["ipBlock"], ip_address(peer.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(excepted) for excepted in block.get("except", ())
        )
    if peer.namespace is None:
        return False
    if "namespaceSelector" not in told:
        return peer.namespace == NAMESPACE and selects(told["podSelector"], peer.labels)
    return selects(told["namespaceSelector"], peer.namespace_labels) and selects(
        told.get("podSelector", {}), peer.labels
    )
