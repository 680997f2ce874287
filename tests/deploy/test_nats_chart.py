"""The values for NATS' Helm chart: keys it has, a configuration NATS takes, confined pods.

No registry that is reached here brings the chart, so it is not rendered. What is written here of
it was read in its sources, at the version for NATS 2.12.4: the keys of `values.yaml` that we rely
on, and what `files/config` and `files/stateful-set` make of them. Everything below a `merge` is
laid over what the chart makes, and is checked by NATS itself and by Kubernetes' schemas.
"""

import json
import os
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

from devkit.nats import binary
from devkit.secret_files import Places, secret_files
from devkit.secret_store import load_or_make
from services.wiring import TOPOLOGY
from tests.deploy.manifests import KUBERNETES, Manifest

KEYS: Final = {
    "config.cluster.enabled",
    "config.cluster.replicas",
    "config.jetstream.enabled",
    "config.jetstream.fileStore.pvc.size",
    "config.jetstream.merge",
    "config.merge",
    "config.monitor.enabled",
    "container.env",
    "container.merge",
    "natsBox.enabled",
    "podDisruptionBudget.enabled",
    "podTemplate.merge",
    "podTemplate.topologySpreadConstraints",
    "promExporter.enabled",
    "promExporter.merge",
    "promExporter.podMonitor.enabled",
    "reloader.merge",
}
"""Keys of the chart's values that ours set; what is below them is not the chart's to name."""

INSTALLATIONS: Final = {
    "production": ("values.yaml", "rights.json"),
    "dev": ("values.yaml", "values-dev.yaml", "rights.json"),
}
installations = pytest.mark.parametrize("installation", INSTALLATIONS)


def over(below: Manifest, above: Manifest) -> Manifest:
    """Return one laid over the other, as Helm lays values and the chart lays a `merge`."""
    merged = deepcopy(below)
    for key, value in above.items():
        known = merged.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[key] = over(known, value)
        else:
            merged[key] = deepcopy(value)
    return merged


def values(installation: str) -> Manifest:
    """Return an installation's values, all files together."""
    merged: Manifest = {}
    for name in INSTALLATIONS[installation]:
        merged = over(merged, yaml.safe_load((KUBERNETES / "nats" / name).read_text()))
    return merged


def unknown(told: Manifest, way: str = "") -> list[str]:
    """Return the keys that the chart has not."""
    found = []
    for key, value in told.items():
        path = f"{way}{key}"
        if path in KEYS:
            continue
        deeper = isinstance(value, dict) and any(each.startswith(f"{path}.") for each in KEYS)
        found += unknown(value, f"{path}.") if deeper else [path]
    return found


@installations
def test_the_chart_has_every_key(installation: str) -> None:
    assert unknown(values(installation)) == []


def test_a_key_that_the_chart_has_not_is_noticed() -> None:
    spoilt = over(values("production"), {"config": {"jetstream": {"fileStorage": {"size": "1Gi"}}}})
    assert unknown(spoilt) == ["config.jetstream.fileStorage"]


def server_configuration(told: Manifest) -> str:
    """Return the server's configuration as the chart makes it of values."""
    config = told["config"]
    made: Manifest = {
        "server_name": "<< $POD_NAME >>",
        "lame_duck_grace_period": "10s",
        "lame_duck_duration": "30s",
        "pid_file": "/var/run/nats/nats.pid",
        "port": 4222,
        "http_port": 8222,
        "jetstream": over(
            {
                "max_memory_store": 0,
                "store_dir": "/data",
                "max_file_store": f"<< {config['jetstream']['fileStore']['pvc']['size']} >>",
            },
            config["jetstream"]["merge"],
        ),
    }
    if config["cluster"]["enabled"]:
        servers = range(config["cluster"]["replicas"])
        routes = [f"nats://nats-{number}.nats-headless:6222" for number in servers]
        made["cluster"] = {"name": "nats", "port": 6222, "no_advertise": True, "routes": routes}
    text = json.dumps(over(made, config["merge"]), indent=2)
    return re.sub(r'"<< (.*?) >>"', r"\1", text)


def passwords(folder: Path) -> dict[str, str]:
    """Return what the server's environment gets of the secrets that are made."""
    secrets = load_or_make(folder / "secrets.json", TOPOLOGY.services)
    files = secret_files(secrets, Places())
    return {
        name.removeprefix("nats-users/"): content
        for name, content in files.items()
        if name.startswith("nats-users/")
    }


def said(folder: Path, configuration: str, environment: dict[str, str]) -> str:
    """Return what is wrong with a configuration, as the server itself says it."""
    file = folder / "nats.conf"
    file.write_text(configuration)
    done = subprocess.run(
        (str(binary()), "-t", "--config", str(file)),
        env={"PATH": os.environ["PATH"], "POD_NAME": "nats-0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr


@installations
def test_the_server_takes_the_configuration(installation: str, tmp_path: Path) -> None:
    made = server_configuration(values(installation))
    assert said(tmp_path, made, passwords(tmp_path)) == ""
    wrong = made.replace('"max_payload"', '"max_payloads"')
    assert "max_payloads" in said(tmp_path, wrong, passwords(tmp_path))


def test_passwords_that_are_made_can_be_read_from_the_environment(tmp_path: Path) -> None:
    """NATS reads a variable as a piece of its file: a tenth of all sets once began with `-`."""
    made: dict[str, str] = {}
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        made |= {f"{name}_{number}": text for name, text in passwords(folder).items()}
    users = [{"user": name, "password": f"<< ${name} >>"} for name in made]
    text = json.dumps({"authorization": {"users": users}})
    configuration = re.sub(r'"<< (.*?) >>"', r"\1", text)
    assert said(tmp_path, configuration, made) == ""
    first = {**made, next(iter(made)): "-begins-with-half-a-number"}
    assert "Expected a digit" in said(tmp_path, configuration, first)


def pod(told: Manifest) -> Manifest:
    """Return the server's pod as the chart makes it, as far as our values say anything of it."""
    containers = [over({"name": "nats", "image": "nats"}, told["container"]["merge"])]
    containers.append(over({"name": "reloader", "image": "reloader"}, told["reloader"]["merge"]))
    if told["promExporter"]["enabled"]:
        merge = told["promExporter"]["merge"]
        containers.append(over({"name": "prom-exporter", "image": "exporter"}, merge))
    spread = [
        {"topologyKey": key, "labelSelector": {"matchLabels": {}}, **constraint}
        for key, constraint in told["podTemplate"]["topologySpreadConstraints"].items()
    ]
    spec: Manifest = {"containers": containers, "topologySpreadConstraints": spread}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nats-0"}, "spec": spec}
    return over(made, told["podTemplate"]["merge"])


@installations
def test_its_pods_are_ones_that_the_namespace_takes(installation: str) -> None:
    """The namespace enforces the restricted profile, and the chart confines nothing by itself."""
    made = pod(values(installation))
    kubernetes_validate.validate(made, "1.37", strict=True)
    spec: dict[str, Any] = made["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, container["name"]
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@installations
def test_the_servers_memory_is_given_back_before_its_limit(installation: str) -> None:
    told = values(installation)["container"]
    limit = told["merge"]["resources"]["limits"]["memory"]
    assert limit.endswith("Gi")
    allowed = int(told["env"]["GOMEMLIMIT"].removesuffix("MiB"))
    assert 0.5 < allowed / (int(limit.removesuffix("Gi")) * 1024) < 0.9  # noqa: PLR2004 - shares of it
