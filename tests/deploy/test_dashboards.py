"""Dashboards: every panel asks a question that Prometheus understands, of what there is."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import OBSERVABILITY
from tests.deploy.measured import asked, metrics, series
from tests.support.tools import program

DASHBOARDS = sorted((OBSERVABILITY / "dashboards").glob("*.json"))


def dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def queries(path: Path) -> list[str]:
    return [target["expr"] for panel in dashboard(path)["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_panel_asks_what_prometheus_understands(path: Path, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries(path))
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": path.stem, "rules": rules}]}))
    done = subprocess.run(
        (program("promtool"), "check", "rules", str(file)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_ask_only_for_what_is_measured_and_say_what_it_means(path: Path) -> None:
    for panel in dashboard(path)["panels"]:
        assert panel["title"]
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            assert asked(target["expr"]), panel["title"]
            assert asked(target["expr"]) <= series(), panel["title"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_lie_on_each_other(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(path)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_all_that_is_measured_is_shown_somewhere() -> None:
    shown = {name for path in DASHBOARDS for query in queries(path) for name in asked(query)}
    for name, metric in metrics().items():
        names = {f"{name}{s}" for s in ("", "_bucket", "_sum", "_count")}
        assert names & shown, f"no dashboard shows {metric.name}"


def test_dashboards_are_told_apart() -> None:
    found = [dashboard(path) for path in DASHBOARDS]
    assert {each["uid"] for each in found} == {f"tollgate-{path.stem}" for path in DASHBOARDS}
    assert {path.stem for path in DASHBOARDS} == {"overview", "money", "builds", "bus"}
