"""What the catalogue is told from outside, beyond what every service is."""

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from runtime.archive import check_archive_url
from runtime.settings import RuntimeSettings


class CatalogSettings(RuntimeSettings):
    """The catalogue's settings."""

    archive_url: Annotated[
        str, Field(description="where modules' sources are kept: file:///…, gs://… or s3://…")
    ]
    sealing_key: Annotated[
        SecretStr | None,
        Field(description="own X25519 private JWK, or a set: opens repositories' tokens"),
    ] = None
    work_dir: Annotated[
        Path, Field(description="a folder of this process's own, for repositories being read")
    ] = Path(tempfile.gettempdir()) / "tollgate-catalog"
    sync_timeout_seconds: Annotated[
        float, Field(gt=0, le=3_600, description="how long a whole sync may take")
    ] = 300.0
    module_timeout_seconds: Annotated[
        float, Field(gt=0, le=600, description="how long reading one module may take")
    ] = 30.0
    reading_processes_max: Annotated[
        int | None,
        Field(ge=1, le=64, description="how many processes read a repository; unset: one a core"),
    ] = None
    repository_bytes_max: Annotated[
        int, Field(ge=65_536, le=2**33, description="how large a repository's pack may be")
    ] = 256 * 1024**2
    concurrent_syncs_max: Annotated[
        int, Field(ge=1, le=32, description="how many repositories are read at a time")
    ] = 2

    @field_validator("archive_url")
    @classmethod
    def _is_a_store(cls, value: str) -> str:
        check_archive_url(value)
        return value
