"""What the services measure, and what a query asks for."""

import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from prometheus_client import REGISTRY, Metric
from prometheus_client.metrics import MetricWrapperBase

from contracts.registry import SERVICES

_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
    "info": ("_info",),
}


@cache
def metrics() -> dict[str, Metric]:
    """Return every metric of ours, by its name as it is written: counters end in `_total`."""
    for service in SERVICES:
        import_module(f"services.{service}.main")
    import_module("services.gateway.http.app")
    found = {}
    for metric in REGISTRY.collect():
        if metric.name.startswith("tollgate_"):
            suffix = "_total" if metric.type == "counter" else ""
            found[f"{metric.name}{suffix}"] = metric
    return found


@dataclass(frozen=True)
class Described:
    """A metric as docs/telemetry.md lists it."""

    name: str
    kind: str
    service: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def row(self) -> str:
        """The line of the table."""
        labels = ", ".join(f"`{label}`" for label in self.labels)
        cells = (f"`{self.name}`", self.kind, self.service, labels, self.meaning)
        return f"| {' | '.join(cells)} |"


def described() -> list[Described]:
    """Return all metrics, by name, as the code has them."""
    found = {}
    for name, metric in metrics().items():
        holders = [
            (module, value)
            for module, loaded in sys.modules.copy().items()
            if module.startswith(("runtime.", "services."))
            for value in vars(loaded).values()
            if isinstance(value, MetricWrapperBase)
            and next(iter(value.describe())).name == metric.name
        ]
        everybodys = any(module.startswith("runtime.") for module, _ in holders)
        module, value = holders[0]
        found[name] = Described(
            name=name,
            kind=metric.type,
            service="all" if everybodys else module.split(".")[1],
            labels=tuple(value._labelnames),  # noqa: SLF001 - it says them nowhere else
            meaning=metric.documentation,
        )
    return [found[name] for name in sorted(found)]


@cache
def series() -> set[str]:
    """Return the name of every series that Prometheus gets of a service, and its own `up`."""
    metrics()
    return {"up"} | {
        f"{metric.name}{suffix}"
        for metric in REGISTRY.collect()
        for suffix in _SUFFIXES[metric.type]
    }


def asked(query: str) -> set[str]:
    """Return the series that a query names."""
    return set(re.findall(r"\b(?:tollgate|process|python)_\w+|\bup\b", query))
