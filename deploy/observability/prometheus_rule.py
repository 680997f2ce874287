# noqa: INP001 - a script beside what it reads
"""Prints the alerts of rules.yaml as the Prometheus operator takes them; `make alerts` keeps it."""

import sys
from pathlib import Path

import yaml

rules = yaml.safe_load((Path(__file__).parent / "rules.yaml").read_text())
manifest = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "PrometheusRule",
    "metadata": {"name": "tollgate"},
    "spec": rules,
}
sys.stdout.write("# Made of deploy/observability/rules.yaml by `make alerts`: change it there.\n")
yaml.safe_dump(manifest, sys.stdout, sort_keys=False, width=100)
