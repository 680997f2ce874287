"""NetworkPolicies let through what is used, and nothing else."""

from typing import Final

import pytest

from contracts.registry import SERVICES
from services.settings_of import variables
from tests.deploy.manifests import OVERLAYS, pods
from tests.deploy.network import NAMESPACE, Place, ours, reaches

MONITORS: Final = {"tollgate.dev/monitoring": "true"}
LEADS_IN: Final = {"tollgate.dev/ingress": "true"}

DNS: Final = Place("kube-system", {"k8s-app": "kube-dns"})
POSTGRES: Final = Place(NAMESPACE, {"cnpg.io/cluster": "tollgate-db"}, ports={"metrics": 9187})
NATS: Final = Place(NAMESPACE, {"app.kubernetes.io/name": "nats"})
PROMETHEUS: Final = Place("monitoring", {"app.kubernetes.io/name": "prometheus"}, MONITORS)
COLLECTOR: Final = Place("monitoring", {"app.kubernetes.io/name": "collector"}, MONITORS)
INGRESS: Final = Place("ingress-nginx", {}, LEADS_IN)
KEDA: Final = Place("keda", {"app": "keda-operator"})
POSTGRES_OPERATOR: Final = Place("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"})
STRANGER: Final = Place("other", {"app.kubernetes.io/name": "shell"})
PUBLIC: Final = Place(address="93.184.216.34")
PRIVATE: Final = Place(address="10.3.2.1")
METADATA: Final = Place(address="169.254.169.254")

HTTP: Final = 8080
BUILDS: Final = 8081

overlays = pytest.mark.parametrize("overlay", OVERLAYS)
every_pod = pytest.mark.parametrize("name", [*SERVICES, "migrate"])


@overlays
@every_pod
def test_everybody_reaches_the_servers_we_run(overlay: str, name: str) -> None:
    for server, port in ((DNS, 53), (POSTGRES, 5432), (NATS, 4222)):
        assert reaches(overlay, ours(overlay, name), server, port), (server, port)
    for server, port in ((POSTGRES, 8000), (POSTGRES, 22), (NATS, 8222), (NATS, 6222)):
        assert not reaches(overlay, ours(overlay, name), server, port), (server, port)


@overlays
@pytest.mark.parametrize("name", SERVICES)
def test_a_collector_takes_spans_and_prometheus_reads_metrics(overlay: str, name: str) -> None:
    assert reaches(overlay, ours(overlay, name), COLLECTOR, 4318)
    assert reaches(overlay, PROMETHEUS, ours(overlay, name), HTTP)
    assert not reaches(overlay, PROMETHEUS, ours(overlay, name), BUILDS)


@overlays
def test_whoever_reads_the_servers_reads_no_more_than_that(overlay: str) -> None:
    assert reaches(overlay, KEDA, NATS, 8222)
    assert reaches(overlay, PROMETHEUS, NATS, 7777)
    assert reaches(overlay, PROMETHEUS, POSTGRES, 9187)
    assert not reaches(overlay, KEDA, NATS, 4222)
    assert not reaches(overlay, KEDA, POSTGRES, 5432)
    assert not reaches(overlay, PROMETHEUS, NATS, 4222)
    assert not reaches(overlay, PROMETHEUS, POSTGRES, 5432)


@overlays
def test_servers_reach_their_own_kind_and_their_operator_reaches_them(overlay: str) -> None:
    assert reaches(overlay, NATS, NATS, 6222)
    assert reaches(overlay, POSTGRES, POSTGRES, 5432)
    assert reaches(overlay, POSTGRES_OPERATOR, POSTGRES, 8000)
    assert not reaches(overlay, POSTGRES, NATS, 4222)
    assert not reaches(overlay, NATS, POSTGRES, 5432)


@overlays
@pytest.mark.parametrize("name", SERVICES)
def test_from_outside_only_the_gateway_and_what_builds_report_to_are_reached(
    overlay: str, name: str
) -> None:
    service = ours(overlay, name)
    assert reaches(overlay, INGRESS, service, HTTP) is (name == "gateway")
    assert reaches(overlay, INGRESS, service, BUILDS) is (name == "deployer")
    for other in (STRANGER, KEDA, POSTGRES, *(ours(overlay, each) for each in SERVICES)):
        assert not reaches(overlay, other, service, HTTP), other
        assert not reaches(overlay, other, service, BUILDS), other


@overlays
@every_pod
def test_public_addresses_are_for_those_that_need_them(overlay: str, name: str) -> None:
    source = ours(overlay, name)
    needs = name in {"catalog", "deployer", "ledger", "revenue"}
    assert reaches(overlay, source, PUBLIC, 443) is needs
    assert not reaches(overlay, source, PUBLIC, 80)
    assert not reaches(overlay, source, PRIVATE, 443)
    assert not reaches(overlay, source, METADATA, 443)


def test_the_gateway_reaches_an_openid_provider_where_there_is_one() -> None:
    overlay = "production+openid"
    gateway = ours(overlay, "gateway")
    assert reaches(overlay, gateway, PUBLIC, 443)
    assert not reaches(overlay, gateway, PRIVATE, 443)
    assert not reaches(overlay, gateway, METADATA, 80)
    [container] = pods(overlay)["gateway"]["containers"]
    names = {each["name"] for each in container["env"]}
    assert {each for each in variables("gateway") if "OIDC" in each} <= names


@overlays
@every_pod
def test_only_in_production_google_is_asked_who_one_is(overlay: str, name: str) -> None:
    needs = overlay == "production" and name in {"catalog", "deployer", "ledger", "revenue"}
    assert reaches(overlay, ours(overlay, name), METADATA, 80) is needs


@overlays
def test_strangers_reach_nothing(overlay: str) -> None:
    for server, port in ((POSTGRES, 5432), (NATS, 4222), (NATS, 8222)):
        assert not reaches(overlay, STRANGER, server, port)
