"""What the gateway is told from outside."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from runtime.settings import RuntimeSettings

Networks = tuple[IPv4Network | IPv6Network, ...]


class GatewaySettings(RuntimeSettings):
    """The gateway's settings."""

    public_url: Annotated[
        str | None,
        Field(description="where browsers find the gateway; https:// makes cookies Secure"),
    ] = None
    catalog_sealing_public_key: Annotated[
        str | None, Field(description="the catalogue's X25519 public JWK: seals tokens for it")
    ] = None
    deployer_sealing_public_key: Annotated[
        str | None, Field(description="the deployer's X25519 public JWK: seals data keys for it")
    ] = None
    revenue_sealing_public_key: Annotated[
        str | None, Field(description="revenue's X25519 public JWK: seals webhooks' secrets for it")
    ] = None
    session_hours: Annotated[
        int, Field(ge=1, le=24 * 90, description="how long a sign-in lasts")
    ] = 24 * 7
    rate_limit_per_second: Annotated[
        int, Field(ge=1, le=100_000, description="calls that one user or address may make")
    ] = 200
    rate_limit_burst: Annotated[
        int, Field(ge=1, le=100_000, description="calls that may come at once")
    ] = 600
    stripe_webhook_secret: Annotated[
        SecretStr | None,
        Field(description="Stripe's signing secret of the webhook, whsec_…; none: no webhooks"),
    ] = None
    trusted_proxies: Annotated[
        str,
        Field(description="proxies whose X-Forwarded-For is believed, as CIDRs with commas"),
    ] = ""
    metrics_networks: Annotated[
        str,
        Field(description="peers that may read /metrics, as CIDRs with commas; never by a proxy"),
    ] = "127.0.0.0/8,::1/128"

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/"):
            raise ValueError("must be http(s)://host[:port]")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("metrics_networks", "trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks_of(value)
        return value


def networks_of(text: str) -> Networks:
    """Return the networks in a list of CIDRs; `ValueError` where one is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
