"""What the gateway is told from outside."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from runtime.settings import RuntimeSettings

LINGER_SECONDS_MAX = 4.0
"""With the time that calls in hand have, it is within the bound of a stop's default."""

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
    linger_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=LINGER_SECONDS_MAX,
            description="how long a gateway that stops still takes calls, and sends callers away",
        ),
    ] = 0.5
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
    cors_origins: Annotated[
        str,
        Field(description="sites whose pages may call with a bearer token: origins with commas"),
    ] = ""
    oidc_issuer: Annotated[
        str | None, Field(description="the OpenID Connect issuer; none: nobody signs in by one")
    ] = None
    oidc_client_id: Annotated[str | None, Field(description="what we are to the issuer")] = None
    oidc_client_secret: Annotated[
        SecretStr | None, Field(description="our secret there; none: a public client")
    ] = None
    oidc_audience: Annotated[
        str | None,
        Field(description="the audience of the issuer's JWTs that programs may send; none: no JWT"),
    ] = None
    metrics_networks: Annotated[
        str,
        Field(description="peers that may read /metrics, as CIDRs with commas; never by a proxy"),
    ] = "127.0.0.0/8,::1/128"

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        return origin_of(value)

    @field_validator("oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        here = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
        if not (parts.scheme == "https" or here) or not parts.netloc or parts.query:
            raise ValueError("must be https://host[/path], or http:// on this machine")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _is_a_whole_client(self) -> Self:
        """Refuse half of a client, and an audience that ID tokens have too."""
        if self.oidc_issuer is None:
            return self
        if self.oidc_client_id is None or self.public_url is None:
            raise ValueError("oidc_issuer needs oidc_client_id and public_url")
        if self.oidc_audience == self.oidc_client_id:
            raise ValueError("oidc_audience must not be the client's own id")
        return self

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        origins_of(value)
        return value

    @field_validator("metrics_networks", "trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks_of(value)
        return value


def origin_of(url: str) -> str:
    """Return an address of the form http(s)://host[:port] as browsers write it; else ValueError."""
    parts = urlsplit(url)
    extra = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in {"http", "https"} or not parts.netloc or extra:
        raise ValueError("must be http(s)://host[:port]")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def origins_of(text: str) -> frozenset[str]:
    """Return the origins in a list of them; `ValueError` where one is none."""
    return frozenset(origin_of(part.strip()) for part in text.split(",") if part.strip())


def networks_of(text: str) -> Networks:
    """Return the networks in a list of CIDRs; `ValueError` where one is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
