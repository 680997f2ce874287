"""Which system a command works on, as the environment says."""

from pathlib import Path

import pytest

from tollgate.target import NoTargetError, bus_admin, secret, segments_url

DSN = "TOLLGATE_POSTGRES_DSN"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and manifests set what nobody named to nothing; services take it as unset."""
    monkeypatch.setenv(DSN, "")
    monkeypatch.setenv(f"{DSN}_FILE", "")
    assert secret(DSN) is None
    monkeypatch.setenv(DSN, "postgresql://ledger@127.0.0.1/tollgate_ledger")
    monkeypatch.setenv("TOLLGATE_SEGMENTS_URL", "")
    assert segments_url(None) is None
    monkeypatch.setenv("TOLLGATE_NATS_ADMIN_PASSWORD", "hunter2")
    monkeypatch.setenv("TOLLGATE_NATS_URL", "")
    monkeypatch.setenv("TOLLGATE_NATS_ADMIN_USER", "")
    admin = bus_admin(None)
    assert (admin.url, admin.user) == ("nats://127.0.0.1:4222", "tollgate_admin")


def test_a_secret_s_file_must_hold_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    monkeypatch.setenv(f"{DSN}_FILE", str(file))
    with pytest.raises(NoTargetError, match="cannot be read"):
        secret(DSN)
    file.write_text("\n")
    with pytest.raises(NoTargetError, match="is empty"):
        secret(DSN)
    file.write_text("postgresql:///ledger\n")
    assert secret(DSN) == "postgresql:///ledger"
    monkeypatch.setenv(DSN, "another")
    with pytest.raises(NoTargetError, match="both set"):
        secret(DSN)
