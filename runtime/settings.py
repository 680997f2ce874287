"""What every service is told from outside: environment variables `TOLLGATE_…`.

An empty variable is as good as none. A secret may also come from a file:
`TOLLGATE_NATS_PASSWORD_FILE` names one, which must not be empty. Development switches are refused
together with `TOLLGATE_ENVIRONMENT=production`. Whatever is wrong is told at once, by the names of
the variables, and never with a value.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.sealing import DataKey, SealingError, check_private_key
from runtime.signing import SigningKey

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

    @field_validator("postgres_dsn")
    @classmethod
    def _is_of_postgres(cls, value: SecretStr) -> SecretStr:
        return _addressed(value, "postgresql", "postgres")

    @field_validator("nats_url")
    @classmethod
    def _is_of_nats(cls, value: str) -> str:
        return _addressed(SecretStr(value), "nats", "tls").get_secret_value()

    @field_validator("master_key", "sealing_key", "signing_key", check_fields=False)
    @classmethod
    def _is_a_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            try:
                _check_key(str(info.field_name), value.get_secret_value())
            except SealingError as error:
                raise ValueError(str(error)) from None
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _tell_everything(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Fill in what comes from files, and where anything is wrong say all that is wrong."""
        problems: dict[str, str] = {}
        if isinstance(values, dict):
            values, problems = _with_files(values, cls.model_fields)
        try:
            made = handler(values)
        except ValidationError as error:
            raise _all_together(cls, error, values, problems) from None
        lines = _lines(problems) + [_line((), told) for told in _contradictions(made)]
        if lines:
            raise ValidationError.from_exception_data(cls.__name__, lines)
        return made

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


def _addressed(value: SecretStr, *schemes: str) -> SecretStr:
    """Return an address that can be used; never says what is in it."""
    scheme, separator, rest = value.get_secret_value().partition("://")
    if scheme not in schemes or not separator or not rest:
        raise ValueError(f"is no address such as {schemes[0]}://host:port")
    return value


def _check_key(name: str, text: str) -> None:
    match name:
        case "master_key":
            DataKey.from_text(text)
        case "sealing_key":
            check_private_key(text)
        case _:
            SigningKey.read(text)


def _with_files(
    values: dict[str, Any], fields: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values with those that are in files, and what is wrong with files, by field."""
    found, problems = dict(values), {}
    for name in fields:
        path = os.environ.get(f"{_PREFIX}{name.upper()}_FILE")
        if not path:
            continue
        try:
            if name in values:
                raise ValueError("are both set")  # noqa: TRY301 - told like all the others
            found[name] = _content(Path(path))
        except (ValueError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            told = f"{_PREFIX}{name.upper()}"
            both = name in values
            problems[name] = f"{told} and its _FILE {reason}" if both else f"{told}_FILE {reason}"
    return found, problems


def _content(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_SECRET_FILE_BYTES_MAX + 1)
    if len(content) > _SECRET_FILE_BYTES_MAX:
        raise ValueError("is too large")
    try:
        text = content.decode().rstrip("\n")
    except UnicodeDecodeError:
        raise ValueError("is no text") from None
    if not text:
        raise ValueError("is empty")
    return text


def _all_together(
    cls: type[BaseModel], error: ValidationError, values: Any, problems: dict[str, str]
) -> ValidationError:
    """Return one error of all problems: with single values, with files, and between values."""
    lines = _lines(problems)
    for detail in error.errors(include_url=False, include_input=False):
        if detail["loc"] and detail["loc"][0] not in problems:
            lines.append(_line(detail["loc"], detail["msg"].removeprefix("Value error, ")))
    wrong = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
    lines += [_line((), told) for told in _contradictions(_good_values(cls, values, wrong))]
    return ValidationError.from_exception_data(cls.__name__, lines)


def _contradictions(values: BaseModel) -> Iterator[str]:
    """Yield what does not go together, as far as the values that it is about are good.

    pydantic looks for it only where every single value is good, and ends with the first.
    """
    for decorator in type(values).__pydantic_decorators__.model_validators.values():
        if decorator.info.mode != "after":
            continue
        try:
            decorator.func(values)
        except AttributeError:
            continue
        except ValueError as contradiction:
            yield str(contradiction)


def _good_values(cls: type[BaseModel], values: Any, wrong: Collection[str]) -> BaseModel:
    """Return settings that lack what is wrong: to ask for it is an `AttributeError`."""
    parsed: dict[str, Any] = {}
    unknown = set(wrong)
    for name in cls.model_fields.keys() & values.keys() - set(wrong):
        try:
            field: Any = TypeAdapter(cls.model_fields[name].rebuild_annotation())
            parsed[name] = field.validate_python(values[name])
        except ValueError:
            unknown.add(name)
    good = cls.model_construct(**parsed)
    for name in unknown:
        good.__dict__.pop(name, None)
    return good


def _lines(problems: dict[str, str]) -> list[InitErrorDetails]:
    return [_line((name,), told) for name, told in problems.items()]


def _line(place: tuple[int | str, ...], told: str) -> InitErrorDetails:
    # What is told may hold braces, which the template would take for its own.
    kind = PydanticCustomError("setting", "{told}", {"told": told})
    return InitErrorDetails(type=kind, loc=place, input=None)
