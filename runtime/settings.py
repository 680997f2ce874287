"""What every service is told from outside: environment variables `TOLLGATE_…`.

An empty variable is as good as none. A secret may also come from a file:
`TOLLGATE_NATS_PASSWORD_FILE` names one, which must not be empty. Development switches are refused
together with `TOLLGATE_ENVIRONMENT=production`.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "TOLLGATE_"
_SECRET_FILE_BYTES_MAX = 65_536


class RuntimeSettings(BaseSettings):
    """Settings that all services share; each service adds its own."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Annotated[
        Literal["development", "production"], Field(description="where this runs")
    ] = "development"
    postgres_dsn: Annotated[SecretStr, Field(description="this service's own database")]
    postgres_pool_max: Annotated[int, Field(ge=2, le=100, description="connections at most")] = 6
    nats_url: Annotated[str, Field(description="where NATS listens")] = "nats://127.0.0.1:4222"
    nats_user: Annotated[str, Field(description="this service's NATS user")]
    nats_password: Annotated[SecretStr, Field(description="its password")]
    http_host: Annotated[str, Field(description="address for health and metrics")] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535, description="its port")] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="least level logged")
    ] = "info"
    log_format: Annotated[Literal["json", "console"], Field(description="shape of a log line")] = (
        "json"
    )
    otlp_endpoint: Annotated[
        str | None, Field(description="OpenTelemetry collector; none: no traces")
    ] = None
    master_key: Annotated[
        SecretStr | None,
        Field(
            description="32 bytes, base64url: wraps data keys at rest; more with commas only open"
        ),
    ] = None
    drain_seconds: Annotated[
        float, Field(gt=0, le=7_200, description="how long a stop may take")
    ] = 20.0
    allow_local_repositories: Annotated[
        bool, Field(description="development: repositories by path and file://")
    ] = False
    allow_private_webhooks: Annotated[
        bool, Field(description="development: webhooks to loopback, by http")
    ] = False
    allow_unisolated_builds: Annotated[
        bool, Field(description="development: builds without a user or namespace of their own")
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any) -> Any:
        """Fill each field that is not set from the file that `<FIELD>_FILE` names."""
        if not isinstance(values, dict):
            return values
        for name in cls.model_fields:
            path = os.environ.get(f"{_PREFIX}{name.upper()}_FILE")
            if not path:
                continue
            if name in values:
                raise ValueError(f"{_PREFIX}{name.upper()} and its _FILE are both set")
            content = Path(path).read_bytes()[: _SECRET_FILE_BYTES_MAX + 1]
            if len(content) > _SECRET_FILE_BYTES_MAX:
                raise ValueError(f"{_PREFIX}{name.upper()}_FILE is too large")
            values[name] = content.decode().rstrip("\n")
            if not values[name]:
                raise ValueError(f"{_PREFIX}{name.upper()}_FILE is empty")
        return values

    @model_validator(mode="after")
    def _no_development_switch_in_production(self) -> Self:
        switches = [
            f"{_PREFIX}{name.upper()}"
            for name in type(self).model_fields
            if name.startswith("allow_") and getattr(self, name)
        ]
        if self.environment == "production" and switches:
            raise ValueError(f"not in production: {', '.join(switches)}")
        return self
