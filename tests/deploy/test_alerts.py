"""Alerts: each fires on what it is for, and has a page that says what to do."""

import re
import subprocess
from pathlib import Path
from shutil import copy
from typing import Any

import yaml
from prometheus_client import REGISTRY

from tests.deploy.manifests import KUBERNETES, ROOT
from tests.support.tools import program


def rules() -> dict[str, Any]:
    text = (KUBERNETES / "components" / "monitoring" / "alerts.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["spec"]
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
    import runtime.metrics  # noqa: F401, PLC0415 - registers what it measures

    measured = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    measured |= {f"{metric.name}_total" for metric in REGISTRY.collect()}
    for name, rule in alerts().items():
        asked = set(re.findall(r"\btollgate_\w+", rule["expr"]))
        assert asked <= measured, name
