"""What revenue is told from outside, beyond what every service is."""

from typing import Annotated

from pydantic import Field, SecretStr

from runtime.segments.settings import SegmentSettings


class RevenueSettings(SegmentSettings):
    """Revenue's settings."""

    sealing_key: Annotated[
        SecretStr | None,
        Field(description="own X25519 private JWK, or a set: opens webhooks' signing secrets"),
    ] = None


class RevenueToolSettings(RevenueSettings):
    """The same for commands, which never speak on the bus: they are told where revenue is."""

    nats_user: Annotated[str, Field(description="not used")] = "revenue"
    nats_password: Annotated[SecretStr, Field(description="not used")] = SecretStr("")
