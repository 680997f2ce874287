"""What a service is told from outside: secrets from files; no development switch in production."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.settings import RuntimeSettings

NEEDED = {
    "TOLLGATE_POSTGRES_DSN": "postgresql://ledger:hunter2@127.0.0.1/tollgate_ledger",
    "TOLLGATE_NATS_USER": "ledger",
    "TOLLGATE_NATS_PASSWORD": "hunter3",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give an environment of what is needed, and nothing else of Tollgate's."""
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_secrets_are_never_printed() -> None:
    shown = repr(RuntimeSettings())
    assert "hunter" not in shown


def test_a_secret_comes_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-a-file\n")
    environment.delenv("TOLLGATE_NATS_PASSWORD")
    environment.setenv("TOLLGATE_NATS_PASSWORD_FILE", str(secret))
    settings = RuntimeSettings()
    assert settings.nats_password.get_secret_value() == "from-a-file"


def test_an_empty_variable_is_as_good_as_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TOLLGATE_MASTER_KEY", "")
    environment.setenv("TOLLGATE_MASTER_KEY_FILE", "")
    assert RuntimeSettings().master_key is None
    environment.setenv("TOLLGATE_NATS_PASSWORD", "")
    with pytest.raises(ValidationError, match="nats_password"):
        RuntimeSettings()


def test_an_empty_secret_is_refused(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("\n")
    environment.setenv("TOLLGATE_MASTER_KEY_FILE", str(secret))
    with pytest.raises(ValidationError, match="TOLLGATE_MASTER_KEY_FILE is empty"):
        RuntimeSettings()


def test_a_secret_given_twice_is_refused_by_name(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("TOLLGATE_NATS_PASSWORD_FILE", str(tmp_path / "password"))
    with pytest.raises(ValidationError, match="TOLLGATE_NATS_PASSWORD and its _FILE"):
        RuntimeSettings()


@pytest.mark.parametrize(
    "switch",
    [
        "TOLLGATE_ALLOW_LOCAL_REPOSITORIES",
        "TOLLGATE_ALLOW_PRIVATE_WEBHOOKS",
        "TOLLGATE_ALLOW_UNISOLATED_BUILDS",
    ],
)
def test_no_development_switch_in_production(environment: pytest.MonkeyPatch, switch: str) -> None:
    environment.setenv("TOLLGATE_ENVIRONMENT", "production")
    environment.setenv(switch, "true")
    with pytest.raises(ValidationError, match=switch):
        RuntimeSettings()


def test_all_that_is_missing_is_told_at_once_and_no_secret_with_it(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("TOLLGATE_POSTGRES_DSN")
    environment.delenv("TOLLGATE_NATS_USER")
    with pytest.raises(ValidationError) as caught:
        RuntimeSettings()
    assert caught.value.error_count() == 2
    assert "hunter" not in str(caught.value)
