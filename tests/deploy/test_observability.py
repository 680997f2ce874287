"""The profile `observability`: what it runs, and that its parts find each other and us."""

import subprocess
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import yaml

from contracts.registry import SERVICES
from tests.deploy.manifests import KUBERNETES, OBSERVABILITY, compose, of_kind
from tests.support.tools import program

WATCHING = ("collector", "traces", "prometheus", "grafana")


def read(*names: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(OBSERVABILITY.joinpath(*names).read_text())
    return found


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def test_it_runs_only_where_it_is_asked_for() -> None:
    asked_for = {name for name, told in compose()["services"].items() if "profiles" in told}
    assert asked_for == set(WATCHING)
    for name in WATCHING:
        assert service(name)["profiles"] == ["observability"]


@pytest.mark.parametrize("name", WATCHING)
def test_what_watches_may_do_little_and_is_reached_from_this_machine_only(name: str) -> None:
    told = service(name)
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in told.get("ports", ()))
    assert "watching" in told["networks"]
    assert not [volume for volume in told.get("volumes", ()) if volume.startswith("secrets")]


def test_prometheus_understands_its_configuration(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "rules.yaml"):
        copy(OBSERVABILITY / name, tmp_path)
    config = tmp_path / "prometheus.yml"
    [rules] = read("prometheus.yml")["rule_files"]
    config.write_text(config.read_text().replace(rules, "rules.yaml"))
    done = subprocess.run(
        (program("promtool"), "check", "config", str(config)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


def test_prometheus_asks_every_service_where_it_answers() -> None:
    jobs = {
        job["job_name"]: job["static_configs"] for job in read("prometheus.yml")["scrape_configs"]
    }
    assert jobs == {name: [{"targets": [f"{name}:8080"]}] for name in SERVICES}
    assert "prometheus.yml:/etc/prometheus/prometheus.yml:ro" in str(service("prometheus"))


def test_the_operator_calls_jobs_alike() -> None:
    path = KUBERNETES / "components" / "monitoring" / "service-monitors.yaml"
    spec = yaml.safe_load(path.read_text())["spec"]
    [names] = spec["selector"]["matchExpressions"]
    assert spec["jobLabel"] == names["key"]
    assert set(names["values"]) == set(SERVICES)


def test_spans_find_their_way_through_the_collector() -> None:
    found = read("collector.yaml")
    for pipeline in found["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(found[part])
        # OpenTelemetry: the limiter comes first, the batch last.
        assert pipeline["processors"][0] == "memory_limiter"
    host = found["exporters"]["otlp"]["endpoint"].split(":")[0]
    assert host in compose()["services"]


def test_grafana_finds_its_data_and_dashboards() -> None:
    sources = read("grafana", "datasources.yaml")["datasources"]
    assert [each["uid"] for each in sources if each.get("isDefault")] == ["prometheus"]
    for each in sources:
        assert each["url"].split("/")[2].split(":")[0] in compose()["services"]
    [provider] = read("grafana", "dashboards.yaml")["providers"]
    assert (
        f"./deploy/observability/dashboards:{provider['options']['path']}:ro"
        in service("grafana")["volumes"]
    )


@pytest.mark.parametrize("overlay", ["production"])
def test_kubernetes_has_the_same_dashboards(overlay: str) -> None:
    found = of_kind(overlay, "ConfigMap")["tollgate-dashboards"]
    files = {path.name: path.read_text() for path in (OBSERVABILITY / "dashboards").iterdir()}
    assert found["data"] == files
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
