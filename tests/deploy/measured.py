"""What the services measure, and what a query asks for."""

import re
from functools import cache
from importlib import import_module

from prometheus_client import REGISTRY, Metric

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
