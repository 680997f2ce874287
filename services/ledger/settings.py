"""What the ledger is told from outside."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from runtime.segments.settings import SegmentSettings


class LedgerSettings(SegmentSettings):
    """The ledger's settings."""

    stripe_api_key: Annotated[
        SecretStr | None,
        Field(description="Stripe's secret or restricted key; none: credits are not sold"),
    ] = None
    stripe_api_url: Annotated[
        str | None, Field(description="development: another Stripe, at this address")
    ] = None
    stripe_sweep_seconds: Annotated[
        float, Field(ge=0, le=86_400, description="how often missed webhooks are looked for; 0: no")
    ] = 300.0
    public_url: Annotated[
        str | None,
        Field(description="where browsers find the gateway, and come back to having paid"),
    ] = None
    attest_delay_seconds: Annotated[
        float, Field(ge=0, le=86_400, description="how long after its end a month is attested")
    ] = 300.0

    @field_validator("public_url")
    @classmethod
    def _has_no_slash_at_its_end(cls, value: str | None) -> str | None:
        return None if value is None else value.rstrip("/")

    @model_validator(mode="after")
    def _sells_where_people_come_back_to(self) -> Self:
        if self.environment == "production" and self.stripe_api_url is not None:
            raise ValueError("TOLLGATE_STRIPE_API_URL is for development only")
        if self.stripe_api_key is not None and self.public_url is None:
            raise ValueError("TOLLGATE_STRIPE_API_KEY needs TOLLGATE_PUBLIC_URL")
        return self


class LedgerToolSettings(LedgerSettings):
    """The same for commands, which never speak on the bus: they are told where the ledger is."""

    nats_user: Annotated[str, Field(description="not used")] = "ledger"
    nats_password: Annotated[SecretStr, Field(description="not used")] = SecretStr("")
