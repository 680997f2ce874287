"""Kubernetes' manifests, as kubectl renders them, against its schemas and our own rules."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
from typer.testing import CliRunner

from contracts.registry import SERVICES
from services.wiring import TOPOLOGY
from tests.deploy.manifests import (
    KUBERNETES,
    OVERLAYS,
    containers,
    custom,
    files_of,
    of_kind,
    pods,
    rendered,
    settings_that_exist,
)
from tollgate.commands import app

overlays = pytest.mark.parametrize("overlay", OVERLAYS)
of_services = pytest.mark.parametrize("service", SERVICES)


@overlays
def test_every_manifest_is_one_that_kubernetes_knows(overlay: str) -> None:
    for manifest in rendered(overlay):
        if not custom(manifest):
            kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_a_field_that_does_not_exist_would_be_noticed() -> None:
    manifest = of_kind("dev", "Deployment")["ledger"]
    wrong = {**manifest, "spec": {**manifest["spec"], "replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


@overlays
def test_it_runs_the_services_that_there_are(overlay: str) -> None:
    assert set(of_kind(overlay, "Deployment")) == set(SERVICES)
    for service in SERVICES:
        [container] = pods(overlay)[service]["containers"]
        assert container["args"] == ["service", service]


@overlays
@of_services
def test_probes_resources_and_patience(overlay: str, service: str) -> None:
    pod = pods(overlay)[service]
    [container] = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + 20 + 10
    [wait] = pod["initContainers"]
    assert wait["args"] == ["wait", service]


@overlays
@pytest.mark.parametrize("pod_name", [*SERVICES, "migrate"])
def test_pods_are_restricted(overlay: str, pod_name: str) -> None:
    pod = pods(overlay)[pod_name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == pod_name
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def told(overlay: str, container: dict[str, Any]) -> set[str]:
    """Return every variable that a container is told."""
    maps = of_kind(overlay, "ConfigMap")
    names = {entry["name"] for entry in container.get("env", ())}
    for source in container.get("envFrom", ()):
        names |= set(maps[source["configMapRef"]["name"]]["data"])
    return names


@overlays
@of_services
def test_a_service_is_told_only_what_it_reads(overlay: str, service: str) -> None:
    [container] = pods(overlay)[service]["containers"]
    assert told(overlay, container) <= settings_that_exist(service)


@overlays
@of_services
def test_a_service_is_told_where_each_secret_of_its_own_is(
    overlay: str, service: str, tmp_path: Path
) -> None:
    pod = pods(overlay)[service]
    files = {f"TOLLGATE_{name.upper()}_FILE" for name in files_of(service, tmp_path)}
    [container] = pod["containers"]
    assert files == {name for name in told(overlay, container) if name.endswith("_FILE")}
    secrets = {v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    assert secrets == {f"tollgate-{service}"}


@overlays
def test_every_value_that_is_referred_to_is_there(overlay: str) -> None:
    maps = of_kind(overlay, "ConfigMap")
    for pod in pods(overlay).values():
        for entry in (e for c in containers(pod) for e in c.get("env", ())):
            reference = entry.get("valueFrom", {}).get("configMapKeyRef")
            if reference is not None:
                assert reference["key"] in maps[reference["name"]]["data"], entry["name"]


@overlays
def test_nothing_talks_to_anything_that_is_not_named(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    deny = policies["deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny
    assert "egress" not in deny
    everyone = deny["podSelector"]["matchLabels"]
    for manifest in (*of_kind(overlay, "Deployment").values(), of_kind(overlay, "Job")["migrate"]):
        assert everyone.items() <= manifest["spec"]["template"]["metadata"]["labels"].items()
    [expression] = policies["outside"]["spec"]["podSelector"]["matchExpressions"]
    assert set(expression["values"]) == set(SERVICES) - {"gateway"}


def test_production_is_production_and_takes_no_development_switch() -> None:
    maps = of_kind("production", "ConfigMap")
    assert maps["tollgate-common"]["data"]["TOLLGATE_ENVIRONMENT"] == "production"
    for pod in pods("production").values():
        for container in containers(pod):
            names = told("production", container)
            assert not {name for name in names if name.startswith("TOLLGATE_ALLOW_")}


def test_services_scale_by_every_consumer_they_have() -> None:
    scaled = of_kind("production", "ScaledObject")
    assert set(scaled) == set(SERVICES) - {"gateway"}
    for service, manifest in scaled.items():
        assert manifest["spec"]["scaleTargetRef"]["name"] == service
        triggers = [trigger["metadata"] for trigger in manifest["spec"]["triggers"]]
        assert {t["stream"] for t in triggers} == set(TOPOLOGY.sources(service))
        assert {t["consumer"] for t in triggers} == {service}
    for manifest in of_kind("production", "Deployment").values():
        assert "replicas" not in manifest["spec"]


def test_the_rights_on_the_bus_are_those_of_this_release() -> None:
    made = CliRunner().invoke(app, ["bus", "permissions", "--helm"])
    assert made.output == (KUBERNETES / "nats" / "rights.json").read_text()
    users = json.loads(made.output)["config"]["merge"]["authorization"]["users"]
    assert [user["user"] for user in users] == ["tollgate_admin", *TOPOLOGY.services]


def test_the_buss_passwords_come_from_the_secret_that_is_made_for_it(tmp_path: Path) -> None:
    environment = json.loads((KUBERNETES / "nats" / "rights.json").read_text())["container"]
    assert set(environment["env"]) == files_of("nats-users", tmp_path)
