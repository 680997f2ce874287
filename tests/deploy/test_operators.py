"""Custom resources against what their operators say of them, unknown fields refused.

KEDA's and the Prometheus operator's packages are made of the operators' own Go types and bring a
validator beside. CloudNativePG's is made of its definitions: fields, types and enumerations are
checked, patterns and bounds are not. No package brings the Barman Cloud plugin's one definition:
what stands around an `ObjectStore`'s configuration is written in `operators/check.mjs` by hand.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.manifests import OVERLAYS, Manifest, custom, rendered
from tests.support.npm import answers, installs

HOME: Final = Path(__file__).parent / "operators"
Check = Callable[[list[Manifest]], list[list[str]]]


@pytest.fixture(scope="module")
def problems() -> Check:
    """Return what is wrong with each of some manifests, by the models of the lock file."""
    installs(HOME)
    return partial(answers, HOME, "check.mjs")


def one(kind: str) -> Manifest:
    """Return a manifest of production's, to be spoilt."""
    return deepcopy(next(m for m in rendered("production") if m["kind"] == kind))


def put(manifest: Manifest, path: str, value: Any) -> Manifest:
    """Set a field, by the names and positions on the way to it; `None` takes it away."""
    *way, last = path.split(".")
    at: Any = manifest
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return manifest


def test_every_custom_resource_is_one_that_its_operator_knows(problems: Check) -> None:
    manifests = [each for overlay in OVERLAYS for each in rendered(overlay) if custom(each)]
    for manifest, found in zip(manifests, problems(manifests), strict=True):
        assert found == [], f"{manifest['kind']} {manifest['metadata']['name']}"


WRONG: Final = (
    ("ScaledObject", "spec.maxReplicas", 4, "maxReplicas does not exist"),
    ("ScaledObject", "spec.triggers.0.metadata.lagThreshold", 2000, "not assignable"),
    ("ScaledObject", "spec.scaleTargetRef", None, "scaleTargetRef is missing"),
    ("ServiceMonitor", "spec.endpoints.0.intervals", "15s", "intervals does not exist"),
    ("ServiceMonitor", "spec.endpoints.0.interval", "15 seconds", "must match pattern"),
    ("PrometheusRule", "spec.groups.0.rules.0.fors", "5m", "fors does not exist"),
    ("Cluster", "spec.walStorag", {"size": "1Gi"}, "walStorag does not exist"),
    ("Cluster", "spec.storage.size", 100, "not assignable"),
    ("Cluster", "spec.postgresql.synchronous.dataDurability", "always", "not assignable"),
    ("Cluster", "spec.plugins.0.isWalArchiver", True, "isWalArchiver is no field"),
    ("ScheduledBackup", "spec.schedule", None, "schedule is missing"),
    ("ScheduledBackup", "spec.method", "barman", "not assignable"),
    ("ObjectStore", "spec.retention", "90d", "retention does not exist"),
    ("ObjectStore", "spec.retentionPolicy", "90 days", "not assignable"),
    ("ObjectStore", "spec.configuration.wal.compression", "zip", "not assignable"),
    ("ObjectStore", "apiVersion", "barmancloud.cnpg.io/v2", "no schema"),
)


def test_what_an_operator_would_not_take_is_noticed(problems: Check) -> None:
    spoilt = [put(one(kind), path, value) for kind, path, value, _ in WRONG]
    for wrong, found in zip(WRONG, problems(spoilt), strict=True):
        kind, path, _, said = wrong
        assert said in " ".join(found).replace("'", "").replace('"', ""), f"{kind} {path}: {found}"
