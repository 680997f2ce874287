"""The collector's configuration and Grafana's, key by key.

Neither program is in a registry that is reached here, so what they know is written here as their
documentation has it: of the collector, the components that the core distribution has had in all
releases up to the one of docker-compose.yml (from 0.144 on the exporter is called `otlp_grpc`, and
`otlp` an older name of it); of Grafana, its pages on provisioning.
"""

from typing import Any, Final

import pytest

from tests.deploy.manifests import compose
from tests.deploy.test_observability import read

KINDS: Final = ("receivers", "processors", "exporters")
COMPONENTS: Final = {
    "receivers.otlp": {"protocols"},
    "processors.memory_limiter": {
        *("check_interval", "limit_mib", "spike_limit_mib"),
        *("limit_percentage", "spike_limit_percentage"),
    },
    "processors.batch": {"timeout", "send_batch_size", "send_batch_max_size"},
    "exporters.otlp": {
        *("endpoint", "tls", "headers", "compression", "timeout"),
        *("sending_queue", "retry_on_failure"),
    },
}
"""Components of the core distribution → the keys that we may use of them."""

PROVIDER: Final = {
    *("name", "orgId", "folder", "folderUid", "type", "disableDeletion"),
    *("updateIntervalSeconds", "allowUiUpdates", "options"),
}
DATASOURCE: Final = {
    *("name", "uid", "orgId", "type", "access", "url", "isDefault", "editable", "jsonData"),
}


def unknown(configuration: dict[str, Any]) -> list[str]:
    """Return what the collector would refuse to start with."""
    found = [key for key in configuration if key not in {*KINDS, "service"}]
    for kind in KINDS:
        for name, told in configuration[kind].items():
            known = COMPONENTS.get(f"{kind}.{name}")
            if known is None:
                found.append(f"{kind}.{name}")
            else:
                found += [f"{kind}.{name}.{key}" for key in told or () if key not in known]
    return found


def test_the_collector_is_of_the_distribution_that_has_what_we_use() -> None:
    image = compose()["services"]["collector"]["image"].partition(":-")[2].removesuffix("}")
    name, _, version = image.partition(":")
    assert name == "otel/opentelemetry-collector"
    assert tuple(int(part) for part in version.split(".")) < (0, 144)


def test_the_collector_knows_every_component_and_key() -> None:
    assert unknown(read("collector.yaml")) == []
    [(signal, pipeline)] = read("collector.yaml")["service"]["pipelines"].items()
    assert signal == "traces"
    assert set(pipeline) == set(KINDS)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (("processors", "tail_sampling"), "processors.tail_sampling"),
        (("processors", "batch", "send_batch"), "processors.batch.send_batch"),
        (("exporters", "jaeger"), "exporters.jaeger"),
        (("exporter",), "exporter"),
    ],
)
def test_what_it_would_refuse_is_noticed(way: tuple[str, ...], said: str) -> None:
    spoilt = read("collector.yaml")
    at = spoilt
    for step in way[:-1]:
        at = at[step]
    at[way[-1]] = {}
    assert unknown(spoilt) == [said]


def test_the_collector_listens_where_services_send_and_sends_where_traces_are_taken() -> None:
    configuration = read("collector.yaml")
    http = configuration["receivers"]["otlp"]["protocols"]["http"]
    # Not on loopback, which is the collector's default.
    assert http["endpoint"] == "0.0.0.0:4318"  # noqa: S104 - in a network of its own
    assert configuration["exporters"]["otlp"]["endpoint"].endswith(":4317")
    limiter = configuration["processors"]["memory_limiter"]
    assert limiter["spike_limit_mib"] < limiter["limit_mib"]


def test_grafana_knows_every_key() -> None:
    dashboards, sources = read("grafana", "dashboards.yaml"), read("grafana", "datasources.yaml")
    assert dashboards["apiVersion"] == sources["apiVersion"] == 1
    for provider in dashboards["providers"]:
        assert set(provider) <= PROVIDER
        assert (provider["type"], set(provider["options"])) == ("file", {"path"})
    for source in sources["datasources"]:
        assert set(source) <= DATASOURCE
        assert (source["type"], source["access"]) in {("prometheus", "proxy"), ("jaeger", "proxy")}
