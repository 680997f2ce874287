"""What revenue is told from outside, beyond what every service is."""

from typing import Annotated

from pydantic import Field, SecretStr

from runtime.settings import RuntimeSettings


class RevenueSettings(RuntimeSettings):
    """Revenue's settings."""

    sealing_key: Annotated[
        SecretStr | None,
        Field(description="own X25519 private key as JWK: opens webhooks' signing secrets"),
    ] = None
