"""What the image is made of."""

import json
import subprocess
import sys
from pathlib import Path

from contracts.registry import SERVICES
from tests.deploy.manifests import ROOT, compose
from tests.support.tools import program


def test_the_dockerfile_has_nothing_to_be_told() -> None:
    done = subprocess.run(
        (program("hadolint"), "Dockerfile"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_nobody_in_particular_from_locked_dependencies() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    assert any("--require-hashes" in line for line in lines)


def test_only_what_the_services_need_is_sent_to_the_builder() -> None:
    ignored, *kept = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith(("#", "**"))
    ]
    assert ignored == "*"
    copied = {
        line.split()[1].partition("/")[0]
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
    }
    assert {name.removeprefix("!") for name in kept} == copied
    assert all((ROOT / name).exists() for name in copied)


def test_every_folder_that_a_volume_is_mounted_at_belongs_to_its_user() -> None:
    made = set(Path("Dockerfile").read_text().split("for folder in ")[1].split("; do")[0].split())
    base = "/var/lib/tollgate/"
    mounted = {
        volume.split(":")[1].removeprefix(base)
        for service in compose()["services"].values()
        for volume in service.get("volumes", ())
        if volume.split(":")[1].startswith(base)
    }
    assert mounted <= made
    assert {f"secrets/{service}" for service in SERVICES} <= made


def test_the_bill_of_materials_tells_of_the_pages_scripts_and_of_the_images() -> None:
    done = subprocess.run(
        (sys.executable, ROOT / "deploy" / "sbom.py"),
        input='{"components": [{"name": "asyncpg"}], "dependencies": []}',
        capture_output=True,
        text=True,
        check=True,
    )
    names = {each["name"] for each in json.loads(done.stdout)["components"]}
    assert {"asyncpg", "python", "hashicorp/terraform"} <= names
    scripts = ROOT / "services" / "gateway" / "web" / "package.json"
    assert set(json.loads(scripts.read_text())["dependencies"]) <= names
