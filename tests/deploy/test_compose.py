"""docker-compose.yml against what the services are."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.registry import SERVICES
from runtime.settings import RuntimeSettings
from tests.deploy.manifests import ROOT, compose, files_of, settings_that_exist

OURS = (*SERVICES, "secrets", "migrate")


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def mounts(name: str) -> dict[str, str]:
    """Return volume → where it is mounted."""
    return dict(volume.split(":")[:2] for volume in service(name).get("volumes", ()))


def always() -> set[str]:
    """Return what runs without a profile."""
    return {name for name, told in compose()["services"].items() if "profiles" not in told}


def test_it_runs_all_services() -> None:
    assert always() == {*OURS, "postgres", "nats"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_told_only_what_it_reads(name: str) -> None:
    assert set(service(name)["environment"]) <= settings_that_exist(name)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_told_where_each_secret_of_its_own_is(name: str, tmp_path: Path) -> None:
    told = {
        variable.removeprefix("TOLLGATE_").removesuffix("_FILE").lower(): path
        for variable, path in service(name)["environment"].items()
        if variable.endswith("_FILE")
    }
    assert told == {secret: f"/run/tollgate/{secret}" for secret in files_of(name, tmp_path)}


@pytest.mark.parametrize("name", [*SERVICES, "migrate", "postgres", "nats"])
def test_nobody_sees_the_secrets_of_another(name: str) -> None:
    secrets = [volume for volume in mounts(name) if volume.startswith("secrets")]
    assert secrets == [f"secrets-{name}"]
    assert f"secrets-{name}:/run/tollgate:ro" in service(name)["volumes"]


@pytest.mark.parametrize("name", [*OURS, "postgres", "nats"])
def test_containers_may_do_as_little_as_can_be(name: str) -> None:
    of_it = service(name)
    assert of_it["read_only"] is True
    assert of_it["cap_drop"] == ["ALL"]
    assert of_it["user"] == "10001:10001"
    assert of_it["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_migrations_and_say_when_they_are_ready(name: str) -> None:
    of_it = service(name)
    assert of_it["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert "/readyz" in of_it["healthcheck"]["test"][-1]
    assert of_it["restart"] == "unless-stopped"


def test_only_the_gateway_is_reached_from_outside() -> None:
    published = {name for name in always() if "ports" in service(name)}
    assert published == {"gateway"}


def test_services_meet_at_postgres_and_nats_and_nowhere_else() -> None:
    networks = compose()["networks"]
    for name in SERVICES:
        assert service(name)["networks"] == [name, "outside"]
        assert networks[name] == {"internal": True}
    # Whoever is here reaches what is outside, and no container that is here as well.
    assert networks["outside"]["driver_opts"] == {"com.docker.network.bridge.enable_icc": "false"}
    for name in ("postgres", "nats"):
        assert set(service(name)["networks"]) == {*SERVICES, "migrate"}


@pytest.mark.parametrize("name", sorted(compose()["services"]))
def test_no_container_takes_the_machine_for_itself(name: str) -> None:
    assert {"mem_limit", "pids_limit"} <= set(service(name))


@pytest.mark.parametrize("name", SERVICES)
def test_a_stop_waits_for_longer_than_the_service_takes_to_drain(name: str) -> None:
    waits = float(service(name)["stop_grace_period"].removesuffix("s"))
    assert waits > RuntimeSettings.model_fields["drain_seconds"].default


@pytest.mark.parametrize("file", ["trial.yml", "rooms.yml"])
def test_what_stands_beside_it_changes_services_that_there_are(file: str) -> None:
    beside = yaml.safe_load((ROOT / "deploy" / "compose" / file).read_text())
    for name, changed in beside["services"].items():
        assert name in SERVICES
        assert set(changed["environment"]) <= settings_that_exist(name)


def test_rooms_take_nothing_but_filters_from_the_deployer_alone() -> None:
    rooms = yaml.safe_load((ROOT / "deploy" / "compose" / "rooms.yml").read_text())["services"]
    assert set(rooms) == {"deployer"}
    assert set(rooms["deployer"]) == {"environment", "security_opt"}
    assert rooms["deployer"]["environment"] == {"TOLLGATE_ALLOW_UNISOLATED_BUILDS": "false"}


def test_every_volume_that_is_mounted_is_one_that_is_kept() -> None:
    used = {volume for name in compose()["services"] for volume in mounts(name)}
    assert {volume for volume in used if not volume.startswith("./")} == set(compose()["volumes"])
    assert not [file for file in used if file.startswith("./") and not (ROOT / file).exists()]


def test_who_watches_shares_no_network_that_keeps_its_members_apart() -> None:
    # A name means an address on any network of both: on that one nobody would answer.
    apart = {
        name
        for name, told in compose()["networks"].items()
        if told.get("driver_opts", {}).get("com.docker.network.bridge.enable_icc") == "false"
    }
    for name in compose()["services"]:
        if name not in SERVICES:
            assert not apart & set(service(name).get("networks", ()))
