"""The OpenID Connect provider, as a client of it: what it says of itself, its keys, its tokens.

Everything that it answers is bounded and checked. Its key set is kept, read anew now and then, and
sooner when a token names a key that is not in it: once in ten seconds at most, whoever asks.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import structlog
from pydantic import SecretStr

from runtime.clock import Clock, monotonic_seconds
from services.gateway.jwt_reader import (
    BadTokenError,
    Keys,
    UnknownKeyError,
    key_id_of,
    read_keys,
    read_token,
)

ANSWER_BYTES_MAX: Final = 256 * 1024
ANSWER_SECONDS_MAX: Final = 5.0
FRESH_SECONDS: Final = 600.0
KEPT_SECONDS: Final = 3_600.0
"""How long keys are believed that cannot be read anew; then no token is good."""
ASKED_AGAIN_AFTER_SECONDS: Final = 10.0
_OK: Final = 200


class ProviderError(Exception):
    """The provider does not answer, or not as a provider does; the message has nothing secret."""


@dataclass(frozen=True)
class Endpoints:
    """Where the provider takes which call."""

    authorization: str
    token: str
    keys: str
    names_itself: bool
    """Whether its answers to a browser say who it is (RFC 9207)."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """What we are to the provider; `audience` is who access tokens are for, if they are taken."""

    issuer: str
    client_id: str
    secret: SecretStr | None
    audience: str | None


class OpenIdProvider:
    """The configured provider."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        asked_again_after_seconds: float = ASKED_AGAIN_AFTER_SECONDS,
    ) -> None:
        self.client = client
        self._asked_again_after_seconds = asked_again_after_seconds
        self._clock = clock
        self._endpoints: Endpoints | None = None
        self._endpoints_at = 0.0
        self._keys: Keys | None = None
        self._keys_at = self._asked_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def endpoints(self) -> Endpoints:
        """Return where the provider takes calls; `ProviderError` where it does not say."""
        if self._endpoints is None or monotonic_seconds() - self._endpoints_at > FRESH_SECONDS:
            found = await self._get(f"{self.client.issuer}/.well-known/openid-configuration")
            self._endpoints = self._endpoints_in(found)
            self._endpoints_at = monotonic_seconds()
        return self._endpoints

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        """Return the claims of a token of the provider's; `BadTokenError` where it is not good."""
        key_id_of(token)
        for again in (False, True):
            keys = await self._current_keys(again=again)
            try:
                return read_token(
                    token,
                    keys,
                    issuer=self.client.issuer,
                    audience=audience,
                    now_seconds=int(self._clock.now().timestamp()),
                )
            except UnknownKeyError:
                if again:
                    raise
        raise AssertionError("unreachable")

    async def id_token_for(self, code: str, *, verifier: str, redirect_uri: str) -> str:
        """Return the ID token that a code is good for.

        `BadTokenError` where the provider takes the code for none, `ProviderError` where it does
        not answer.
        """
        endpoints = await self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self.client.client_id,
        }
        status, body = await self._call("POST", endpoints.token, form)
        if status in {400, 401, 403}:
            raise BadTokenError("the provider refuses the code")
        answer = _object(status, body)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise BadTokenError("the provider gives no ID token")
        return token

    async def _current_keys(self, *, again: bool) -> Keys:
        """Return the key set; read anew if it is old or, with `again`, if that was a while ago."""
        async with self._one_at_a_time:
            now = monotonic_seconds()
            stale = now - self._keys_at > FRESH_SECONDS or again
            if stale and now - self._asked_at > self._asked_again_after_seconds:
                self._asked_at = now
                try:
                    self._keys = await self._read_keys()
                    self._keys_at = now
                except (ProviderError, BadTokenError) as error:
                    structlog.get_logger().warning("openid.no_keys", error=str(error))
            if self._keys is None or now - self._keys_at > KEPT_SECONDS:
                raise BadTokenError("the issuer's keys cannot be had")
            return self._keys

    async def _read_keys(self) -> Keys:
        endpoints = await self.endpoints()
        status, body = await self._call("GET", endpoints.keys)
        if status != _OK:
            raise ProviderError(f"the key set answers {status}")
        return read_keys(body)

    async def _get(self, url: str) -> Mapping[str, Any]:
        status, body = await self._call("GET", url)
        return _object(status, body)

    async def _call(
        self, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return a status and a bounded body; redirects are not followed."""
        import aiohttp

        headers = {}
        if form is not None and self.client.secret is not None:
            headers["Authorization"] = aiohttp.encode_basic_auth(
                quote(self.client.client_id, safe=""),
                quote(self.client.secret.get_secret_value(), safe=""),
            )
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
                ) as session,
                session.request(
                    method, url, data=form, headers=headers, allow_redirects=False
                ) as answer,
            ):
                body = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while len(body) <= ANSWER_BYTES_MAX and (
                    more := await answer.content.read(ANSWER_BYTES_MAX + 1 - len(body))
                ):
                    body += more
                if len(body) > ANSWER_BYTES_MAX:
                    raise ProviderError("the provider answers too much")
                return answer.status, body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderError(
                f"the provider cannot be reached: {type(error).__name__}"
            ) from error

    def _endpoints_in(self, found: Mapping[str, Any]) -> Endpoints:
        if found.get("issuer") != self.client.issuer:
            raise ProviderError("the provider says that it is another")
        return Endpoints(
            authorization=self._url(found, "authorization_endpoint"),
            token=self._url(found, "token_endpoint"),
            keys=self._url(found, "jwks_uri"),
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        )

    def _url(self, found: Mapping[str, Any], name: str) -> str:
        """Return an address that the provider gives: never by plain HTTP if it has TLS itself."""
        url = found.get(name)
        if isinstance(url, str) and urlsplit(url).scheme == urlsplit(self.client.issuer).scheme:
            return url
        raise ProviderError(f"the provider has no good {name}")


def _object(status: int, body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise ProviderError("the provider answers what is no JSON") from error
    if status != _OK or not isinstance(found, dict):
        raise ProviderError(f"the provider answers {status}")
    return found
