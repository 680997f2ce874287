"""Our own rules of the manifests: what fits together although no schema says so."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.registry import SERVICES
from runtime.segments.sealer import SEGMENT_BODY_BYTES_MAX
from runtime.settings import RuntimeSettings
from services.deployer.builds_api import BODY_BYTES_MAX
from services.deployer.settings import DeployerSettings
from tests.deploy.manifests import OVERLAYS, ROOT, Manifest, of_kind, pods, selects

UNITS: Final = {"Mi": 2**20, "Gi": 2**30}

overlays = pytest.mark.parametrize("overlay", OVERLAYS)
of_services = pytest.mark.parametrize("service", SERVICES)


def bytes_of(quantity: str) -> int:
    """Return a quantity of memory or disk."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def test_prometheus_finds_each_service_once_and_by_its_name() -> None:
    [monitor] = of_kind("production", "ServiceMonitor").values()
    spec = monitor["spec"]
    found = {
        name: each
        for name, each in of_kind("production", "Service").items()
        if selects(spec["selector"], each["metadata"]["labels"])
    }
    assert set(found) == set(SERVICES)
    [endpoint] = spec["endpoints"]
    for name, each in found.items():
        assert each["metadata"]["labels"][spec["jobLabel"]] == name
        assert endpoint["port"] in {port["name"] for port in each["spec"]["ports"]}


def test_prometheus_finds_the_database() -> None:
    """CloudNativePG gives its pods these labels, and calls the exporter's port so."""
    [monitor] = of_kind("production", "PodMonitor").values()
    [cluster] = of_kind("production", "Cluster")
    labels = {"cnpg.io/cluster": cluster, "cnpg.io/podRole": "instance"}
    assert monitor["spec"]["selector"]["matchLabels"] == labels
    assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]


@overlays
@of_services
def test_a_services_address_leads_to_its_pods(overlay: str, service: str) -> None:
    labels = of_kind(overlay, "Deployment")[service]["spec"]["template"]["metadata"]["labels"]
    named = {
        port["name"]
        for container in pods(overlay)[service]["containers"]
        for port in container["ports"]
    }
    for each in of_kind(overlay, "Service").values():
        if each["spec"]["selector"].items() <= labels.items():
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= named


def test_nobody_is_scaled_by_two() -> None:
    targets = [
        each["spec"]["scaleTargetRef"]["name"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for each in of_kind("production", kind).values()
    ]
    assert sorted(targets) == sorted(SERVICES)


def test_replicas_go_one_after_the_other_and_not_for_every_dip() -> None:
    scaled = [each["spec"] for each in of_kind("production", "HorizontalPodAutoscaler").values()]
    for each in of_kind("production", "ScaledObject").values():
        scaled.append(each["spec"]["advanced"]["horizontalPodAutoscalerConfig"])
        # KEDA's own pause is for the way to nothing, which is never gone.
        assert "cooldownPeriod" not in each["spec"]
        assert each["spec"]["minReplicaCount"] > 0
    for each in scaled:
        down = each["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] >= 300
        assert [policy["value"] for policy in down["policies"]] == [1]


LAG_METADATA: Final = {
    "account", "stream", "consumer", "natsServerMonitoringEndpoint", "lagThreshold",
    "activationLagThreshold", "useHttps",
}  # fmt: skip
"""What KEDA's scaler nats-jetstream reads (pkg/scalers/nats_jetstream_scaler.go); it knows no more,
and says nothing of what it does not know."""


def test_keda_is_told_where_the_lag_is_in_the_words_it_knows() -> None:
    for each in of_kind("production", "ScaledObject").values():
        for trigger in each["spec"]["triggers"]:
            told = trigger["metadata"]
            assert trigger["type"] == "nats-jetstream"
            assert set(told) <= LAG_METADATA
            assert int(told["lagThreshold"]) > 0
            # Users without an account are of NATS' own; the headless service names every server.
            assert told["account"] == "$G"
            assert told["natsServerMonitoringEndpoint"] == "nats-headless.tollgate.svc:8222"


@overlays
@of_services
def test_a_node_can_always_be_drained_and_takes_one_pod_at_a_time(
    overlay: str, service: str
) -> None:
    budget = of_kind(overlay, "PodDisruptionBudget")[service]["spec"]
    labels = of_kind(overlay, "Deployment")[service]["spec"]["template"]["metadata"]["labels"]
    assert selects(budget["selector"], labels)
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@overlays
@of_services
def test_a_release_takes_no_pod_away_before_a_new_one_is_ready(overlay: str, service: str) -> None:
    strategy = of_kind(overlay, "Deployment")[service]["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def rooms(pod: Manifest) -> dict[str, dict[str, Any]]:
    """Return where a service may write → the volume."""
    [container] = pod["containers"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    return {
        mount["mountPath"]: volumes[mount["name"]]
        for mount in container["volumeMounts"]
        if not mount.get("readOnly")
    }


@overlays
@of_services
def test_where_a_service_writes_there_is_room(overlay: str, service: str) -> None:
    """A segment and what tells of it are written to /tmp first; a folder in memory would burst."""
    found = rooms(pods(overlay)[service])
    tmp = found["/tmp"]["emptyDir"]  # noqa: S108 - a container's own
    assert tmp.get("medium") != "Memory"
    assert bytes_of(tmp["sizeLimit"]) >= 4 * SEGMENT_BODY_BYTES_MAX
    [work] = re.findall(r"TOLLGATE_WORK_DIR=(\S+)", (ROOT / "Dockerfile").read_text())
    assert "sizeLimit" in found[work]["emptyDir"]


@overlays
def test_the_deployer_makes_the_folder_of_its_builds_itself(overlay: str) -> None:
    """What Kubernetes mounts is root's, with leave for everybody; the deployer refuses that."""
    [container] = pods(overlay)["deployer"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    folder = Path(told["TOLLGATE_WORK_DIR"])
    assert str(folder) not in rooms(pods(overlay)["deployer"])
    assert str(folder.parent) in rooms(pods(overlay)["deployer"])


def test_files_that_are_kept_are_on_volumes_that_are_kept() -> None:
    values = of_kind("dev", "ConfigMap")
    [urls] = [
        each["data"]
        for name, each in values.items()
        if name.startswith("tollgate-") and "archive-url" in each["data"]
    ]
    kept = {
        "catalog": urls["archive-url"],
        "ledger": urls["segments-url"],
        "revenue": urls["revenue-segments-url"],
    }
    for service, url in kept.items():
        assert "persistentVolumeClaim" in rooms(pods("dev")[service])[url.removeprefix("file://")]


def test_builds_in_the_deployers_own_pod_fit_into_it() -> None:
    [container] = pods("dev")["deployer"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    fields = DeployerSettings.model_fields
    builds, memory, disk = (
        int(told.get(f"TOLLGATE_{name.upper()}") or fields[name].default)
        for name in ("concurrent_builds_max", "build_memory_mib_max", "build_disk_mib_max")
    )
    own = 512 * UNITS["Mi"]
    assert builds * memory * UNITS["Mi"] + own <= bytes_of(
        container["resources"]["limits"]["memory"]
    )
    work = rooms(pods("dev")["deployer"])["/var/lib/tollgate/work"]["emptyDir"]["sizeLimit"]
    assert builds * disk * UNITS["Mi"] <= bytes_of(work)


def test_from_outside_builds_and_everybody_else_are_led_to_whom_they_want() -> None:
    ways, sizes = {}, {}
    for manifest in of_kind("production", "Ingress").values():
        [rule] = manifest["spec"]["rules"]
        [way] = rule["http"]["paths"]
        ways[way["path"]] = way["backend"]["service"]
        annotations = manifest["metadata"].get("annotations", {})
        sizes[way["path"]] = annotations.get("nginx.ingress.kubernetes.io/proxy-body-size", "1m")
        [values] = [
            each["data"]
            for name, each in of_kind("production", "ConfigMap").items()
            if "public-url" in each["data"]
        ]
        assert values["public-url"] == f"https://{rule['host']}"
    services = of_kind("production", "Service")
    for told in ways.values():
        named = {port["name"] for port in services[told["name"]]["spec"]["ports"]}
        assert told["port"]["name"] in named
    assert {path: told["name"] for path, told in ways.items()} == {
        "/": "gateway",
        "/builds/": "builds",
    }
    # nginx writes MiB so; a body of the API is a MiB at most, which is nginx' own limit.
    assert sizes["/builds/"] == f"{BODY_BYTES_MAX // UNITS['Mi']}m"


def test_a_backup_is_of_the_cluster_that_there_is() -> None:
    [(name, cluster)] = of_kind("production", "Cluster").items()
    [backup] = of_kind("production", "ScheduledBackup").values()
    [store] = of_kind("production", "ObjectStore")
    [plugin] = cluster["spec"]["plugins"]
    assert backup["spec"]["cluster"] == {"name": name}
    assert backup["spec"]["pluginConfiguration"]["name"] == plugin["name"]
    assert plugin["parameters"] == {"barmanObjectName": store}
    assert plugin["isWALArchiver"] is True
    # Six fields: the first one is seconds.
    assert len(backup["spec"]["schedule"].split()) == 6


PROCESS_CONNECTIONS: Final = RuntimeSettings.model_fields["postgres_pool_max"].default + 3
"""docs/scaling.md: what a process has open at most."""
OWN_CONNECTIONS: Final = 20
"""The superuser's, the operator's, the exporter's, replication's, and the migration's."""


def replicas_max(overlay: str, service: str) -> int:
    """Return how many pods of a service there may be, in the middle of a release too."""
    deployment = of_kind(overlay, "Deployment")[service]["spec"]
    limits = [deployment["replicas"]] if "replicas" in deployment else []
    scalers = {"HorizontalPodAutoscaler": "maxReplicas", "ScaledObject": "maxReplicaCount"}
    limits += [
        each["spec"][most]
        for kind, most in scalers.items()
        for each in of_kind(overlay, kind).values()
        if each["spec"]["scaleTargetRef"]["name"] == service
    ]
    [limit] = limits
    return int(limit) + int(deployment["strategy"]["rollingUpdate"]["maxSurge"])


@overlays
def test_the_database_has_a_connection_for_everybody(overlay: str) -> None:
    processes = sum(replicas_max(overlay, service) for service in SERVICES)
    [cluster] = of_kind(overlay, "Cluster").values()
    allowed = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
    assert processes * PROCESS_CONNECTIONS + OWN_CONNECTIONS <= allowed


@overlays
def test_the_database_is_the_one_that_services_are_told_of(overlay: str) -> None:
    """docs/kubernetes.md makes the secrets for this address and this user."""
    [cluster] = of_kind(overlay, "Cluster").values()
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    assert f"--postgres {cluster['metadata']['name']}-rw:5432 --postgres-admin postgres" in page
    assert cluster["spec"]["superuserSecret"]["name"] == "tollgate-postgres"
    assert cluster["spec"]["enableSuperuserAccess"] is True


def test_secrets_that_a_pod_cannot_start_without_are_made_at_the_first_time() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    [parts] = re.findall(r"^for part in (.*); do$", page, re.MULTILINE)
    made = {f"tollgate-{part}" for part in parts.split()}
    made |= set(re.findall(r"create secret generic (tollgate-[a-z]+)", page))
    needed = {
        volume["secret"]["secretName"]
        for overlay in OVERLAYS
        for pod in pods(overlay).values()
        for volume in pod["volumes"]
        if "secret" in volume
    } | {
        entry["valueFrom"]["secretKeyRef"]["name"]
        for overlay in OVERLAYS
        for pod in pods(overlay).values()
        for container in pod["containers"]
        for entry in container.get("env", ())
        if "secretKeyRef" in entry.get("valueFrom", {})
    }
    assert needed <= made
