"""docs/telemetry.md lists exactly what is measured, and labels have few values."""

from tests.deploy.manifests import ROOT
from tests.deploy.measured import described

PAGE = ROOT / "docs" / "telemetry.md"

BOUNDED = {
    "action", "beside", "check", "code", "measure", "message", "method", "outcome", "reason",
    "route", "state", "status", "stream",
}  # fmt: skip
"""Labels whose values our own code names, each a handful or one for each thing that is written."""


def test_the_list_is_the_code() -> None:
    listed = [line for line in PAGE.read_text().splitlines() if line.startswith("| `tollgate_")]
    assert listed == [each.row for each in described()]


def test_no_label_has_values_without_bound() -> None:
    for each in described():
        assert set(each.labels) <= BOUNDED, each.name


def test_units_stand_last() -> None:
    """Prometheus' own rule: seconds, not milliseconds, and counters end in `_total`."""
    for each in described():
        assert (each.kind == "counter") is each.name.endswith("_total"), each.name
        assert not each.name.endswith(("_ms", "_milliseconds", "_minutes")), each.name
