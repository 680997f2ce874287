"""Alerts: each fires on what it is for, and has a page that says what to do."""

import subprocess
from pathlib import Path
from shutil import copy
from typing import Any

import yaml

from tests.deploy.manifests import KUBERNETES, OBSERVABILITY, ROOT
from tests.deploy.measured import asked, series
from tests.support.tools import program


def rules() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((OBSERVABILITY / "rules.yaml").read_text())
    return found


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in rules()["groups"] for rule in group["rules"]}


def test_each_alert_fires_when_it_must_and_not_before(tmp_path: Path) -> None:
    promtool = program("promtool")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules()))
    copy(ROOT / "tests" / "deploy" / "alerts.yaml", tmp_path)
    done = subprocess.run(
        (promtool, "test", "rules", "alerts.yaml"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_without_a_test() -> None:
    tests = yaml.safe_load((ROOT / "tests" / "deploy" / "alerts.yaml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == set(alerts())


def test_each_alert_says_who_is_woken_and_where_it_says_what_to_do() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        page = (ROOT / rule["annotations"]["runbook"]).read_text()
        assert f"`{name}`" in page, name


def test_alerts_ask_only_for_what_is_measured() -> None:
    for name, rule in alerts().items():
        assert asked(rule["expr"]) <= series(), name


def test_kubernetes_has_the_same_alerts() -> None:
    text = (KUBERNETES / "components" / "monitoring" / "alerts.yaml").read_text()
    assert yaml.safe_load(text)["spec"] == rules(), "make alerts"


def test_every_runbook_of_an_alert_is_listed() -> None:
    listed = (ROOT / "docs" / "runbooks" / "README.md").read_text()
    for name, rule in alerts().items():
        assert f"`{name}`" in listed, name
        assert f"({Path(rule['annotations']['runbook']).name})" in listed
