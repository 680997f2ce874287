"""What a service is told from outside: secrets from files; no development switch in production."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.sealing import generate_sealing_key
from runtime.settings import RuntimeSettings
from services.ledger.settings import LedgerSettings
from services.revenue.settings import RevenueSettings
from tollgate.service import describe

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


def test_all_that_is_wrong_is_told_at_once_and_no_secret_with_it(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Missing, malformed, in files that are not there, and contradictory, all in one answer."""
    environment.delenv("TOLLGATE_NATS_USER")
    environment.setenv("TOLLGATE_POSTGRES_DSN", "mysql://ledger:hunter2@127.0.0.1")
    environment.setenv("TOLLGATE_NATS_PASSWORD_FILE", str(tmp_path / "password"))
    environment.setenv("TOLLGATE_MASTER_KEY_FILE", str(tmp_path / "nothing"))
    environment.setenv("TOLLGATE_HTTP_PORT", "hunter4")
    environment.setenv("TOLLGATE_ENVIRONMENT", "production")
    environment.setenv("TOLLGATE_ALLOW_PRIVATE_WEBHOOKS", "true")

    with pytest.raises(ValidationError) as caught:
        RuntimeSettings()

    told = describe(caught.value).splitlines()
    assert sorted(line.split(":")[0].strip() for line in told) == [
        "TOLLGATE_HTTP_PORT",
        "TOLLGATE_MASTER_KEY",
        "TOLLGATE_NATS_PASSWORD",
        "TOLLGATE_NATS_USER",
        "TOLLGATE_POSTGRES_DSN",
        "settings",
    ]
    assert "  settings: not in production: TOLLGATE_ALLOW_PRIVATE_WEBHOOKS" in told
    assert "hunter" not in str(caught.value) + "".join(told)


@pytest.mark.parametrize("text", ["short", "hunter!", "{}", "a" * 44, f"{'a' * 43},hunter"])
def test_a_master_key_that_is_none_is_refused_without_showing_it(
    environment: pytest.MonkeyPatch, text: str
) -> None:
    environment.setenv("TOLLGATE_MASTER_KEY", text)
    with pytest.raises(ValidationError, match="key") as caught:
        RuntimeSettings()
    assert text not in describe(caught.value)


@pytest.mark.parametrize(
    "text",
    ["hunter", "[]", '{"keys": []}', '{"kty": "OKP"}', generate_sealing_key()[1]],
)
def test_a_sealing_key_that_is_none_is_refused_without_showing_it(
    environment: pytest.MonkeyPatch, text: str
) -> None:
    environment.setenv("TOLLGATE_SEALING_KEY", text)
    with pytest.raises(ValidationError, match="private JWK") as caught:
        RevenueSettings()
    assert text not in describe(caught.value)


def test_what_contradicts_itself_twice_is_told_twice(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TOLLGATE_ENVIRONMENT", "production")
    environment.setenv("TOLLGATE_ALLOW_PRIVATE_WEBHOOKS", "true")
    environment.setenv("TOLLGATE_STRIPE_API_KEY", "hunter")
    with pytest.raises(ValidationError) as caught:
        LedgerSettings()
    told = describe(caught.value)
    assert "not in production" in told
    assert "needs TOLLGATE_PUBLIC_URL" in told
    assert "hunter" not in told
