from typing import Any

import pytest
from pydantic import ValidationError

from runtime.sealing import generate_sealing_key
from services.deployer.settings import DeployerSettings

NEEDED: dict[str, Any] = {
    "postgres_dsn": "postgresql://deployer:hunter2@127.0.0.1/tollgate_deployer",
    "nats_user": "deployer",
    "nats_password": "hunter3",
    "archive_url": "file:///archive",
    "sealing_key": generate_sealing_key()[0],
}


def settings(**changed: Any) -> DeployerSettings:
    return DeployerSettings(**(NEEDED | changed))


def bounds(silence: float, grace: float, beat: float, lost: float) -> dict[str, float]:
    return {
        "silence_seconds_max": silence,
        "stop_grace_seconds": grace,
        "heartbeat_seconds": beat,
        "lost_after_seconds": lost,
    }


def test_what_is_not_told_is_within_bounds() -> None:
    assert settings().concurrent_builds_max == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"drain_seconds": 20, "builds_finish_seconds": 19}, "TOLLGATE_DRAIN_SECONDS must be 2"),
        ({"builds_outlive_stop": True, "builds_port": 0}, "needs a TOLLGATE_BUILDS_PORT"),
    ],
)
def test_a_stop_that_could_not_go_as_it_is_told_is_refused(
    changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**changed)


@pytest.mark.parametrize("of", [(60, 30, 1, 91.1), (1.5, 2, 0.2, 5), (1, 1, 1, 3.001)])
def test_a_runner_may_stop_before_it_is_declared_lost(of: tuple[float, ...]) -> None:
    assert settings(**bounds(*of)).lost_after_seconds == of[3]


@pytest.mark.parametrize("of", [(60, 30, 1, 91), (60, 30, 1, 60), (1, 1, 1, 3), (100, 30, 1, 120)])
def test_bounds_that_could_declare_a_live_runner_lost_are_refused(of: tuple[float, ...]) -> None:
    silence, grace, beat, _ = of
    with pytest.raises(ValidationError) as refused:
        settings(**bounds(*of))
    [error] = refused.value.errors()
    assert "TOLLGATE_LOST_AFTER_SECONDS must be more than" in error["msg"]
    assert error["msg"].endswith(f"here {silence + grace + beat:g}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrent_builds_max", 0),
        ("build_seconds_max", 0),
        ("heartbeat_seconds", 0),
        ("log_bytes_max", 100),
        ("first_build_uid", 0),
        ("builds_port", 65_536),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**{name: value})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


def test_lists_are_told_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_BUILD_READABLE_PATHS", "/opt/tools, /srv/mirror")
    monkeypatch.setenv("TOLLGATE_BUILD_NETWORKS", "10.1.0.0/16")
    told = settings()
    assert [str(path) for path in told.build_readable_paths] == ["/opt/tools", "/srv/mirror"]
    assert [str(network) for network in told.build_networks] == ["10.1.0.0/16"]


@pytest.mark.parametrize("variable", ["BUILD_NETWORKS", "BUILD_READABLE_PATHS"])
def test_a_list_that_is_none_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(f"TOLLGATE_{variable}", '["10.1.0.0/16"]')
    with pytest.raises(ValidationError) as refused:
        settings()
    assert refused.value.errors()[0]["loc"][0] == variable.lower()
