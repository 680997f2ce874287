"""Reads what is deployed: the compose file, and Kubernetes' overlays as kubectl renders them."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from devkit.secret_files import Places, secret_files
from devkit.secret_store import load_or_make
from services.settings_of import variables
from services.wiring import TOPOLOGY
from tests.support.tools import program

ROOT: Final = Path(__file__).resolve().parents[2]
KUBERNETES: Final = ROOT / "deploy" / "k8s"
OBSERVABILITY: Final = ROOT / "deploy" / "observability"
OVERLAYS: Final = ("dev", "production")

Manifest = dict[str, Any]

OPERATORS: Final = {
    "postgresql.cnpg.io",
    "barmancloud.cnpg.io",
    "keda.sh",
    "monitoring.coreos.com",
}
"""Groups of resources that operators bring: test_operators.py knows them."""


@cache
def compose() -> Manifest:
    """Return docker-compose.yml, with its anchors resolved."""
    found: Manifest = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Return an overlay's manifests; `production+openid` is one with a component beside."""
    name, _, component = overlay.partition("+")
    if not component:
        return _rendered(KUBERNETES / "overlays" / name)
    with tempfile.TemporaryDirectory() as folder:
        # kustomize takes other folders by the way to them only.
        overlays = os.path.relpath(KUBERNETES, Path(folder).resolve())
        own = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"{overlays}/overlays/{name}"],
            "components": [f"{overlays}/components/{component}"],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(own))
        return _rendered(Path(folder))


def _rendered(folder: Path) -> tuple[Manifest, ...]:
    done = subprocess.run(
        (program("kubectl"), "kustomize", str(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def custom(manifest: Manifest) -> bool:
    """Tell whether an operator brings this kind, and not Kubernetes itself."""
    return manifest["apiVersion"].split("/")[0] in OPERATORS


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    """Return name → manifest of one kind."""
    return {m["metadata"]["name"]: m for m in rendered(overlay) if m["kind"] == kind}


def pods(overlay: str) -> dict[str, Manifest]:
    """Return name → pod specification, of Deployments and Jobs."""
    found = of_kind(overlay, "Deployment") | of_kind(overlay, "Job")
    return {name: manifest["spec"]["template"]["spec"] for name, manifest in found.items()}


def containers(pod: Manifest) -> list[Manifest]:
    """Return a pod's containers, those that come first included."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Tell whether a label selector takes something with these labels."""
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def settings_that_exist(service: str) -> set[str]:
    """Return every variable that a service reads, with the forms that name a file."""
    return {name for told in variables(service) for name in (told, f"{told}_FILE")}


def files_of(part: str, folder: Path) -> set[str]:
    """Return the secrets that `tollgate secrets make` writes for a part."""
    secrets = load_or_make(folder / "secrets.json", TOPOLOGY.services)
    names = (name.split("/") for name in secret_files(secrets, Places()))
    return {name for owner, name in names if owner == part}
