import pytest
from pydantic import SecretStr, ValidationError

from services.catalog.settings import CatalogSettings


def settings(archive_url: str) -> CatalogSettings:
    return CatalogSettings(
        postgres_dsn=SecretStr("postgres://x"),
        nats_user="catalog",
        nats_password=SecretStr("x"),
        archive_url=archive_url,
    )


def test_a_store_of_archives_that_is_none_is_said_at_start() -> None:
    assert settings("file:///srv/archive").archive_url == "file:///srv/archive"
    with pytest.raises(ValidationError, match="a store of archives is a file:///"):
        settings("/srv/archive")
