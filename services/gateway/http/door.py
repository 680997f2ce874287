"""The door that every call comes through: who it is, how often they come, and whether they may."""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from math import ceil
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request

from services.gateway.credentials import (
    CREDENTIAL_LENGTH_MAX,
    TOKEN_PREFIX,
    Principal,
    principal_of_session,
    principal_of_subject,
    principal_of_token,
)
from services.gateway.gateway import Gateway
from services.gateway.http.access import Access
from services.gateway.http.problems import ProblemError
from services.gateway.http.rate_limits import RateLimits
from services.gateway.jwt_reader import BadTokenError
from services.gateway.settings import Networks, networks_of

COOKIE: Final = "tollgate_session"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_SITE: Final = frozenset({"same-origin", "none"})


class Door:
    """Admits calls."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._limits = RateLimits(
            gateway.settings.rate_limit_per_second, gateway.settings.rate_limit_burst
        )

    async def admit(self, request: Request, access: Access) -> Principal | None:
        """Return who makes the call, if anybody signed in; a problem where it must not be made.

        In this order: from another site, credentials that are none, too often, not signed in, not
        allowed.
        """
        self.check_site(request)
        try:
            principal = await self.principal(request)
        except ProblemError:
            self._count(request, None)
            raise
        self._count(request, principal)
        if principal is None:
            if access.signed_in:
                raise unauthenticated()
            return None
        writes = request.method not in SAFE_METHODS and not access.reads
        if ("write" if writes else "read") not in principal.scopes:
            raise ProblemError("INSUFFICIENT_SCOPE")
        if access.roles is not None and not principal.has(*access.roles):
            raise ProblemError("FORBIDDEN")
        return principal

    async def principal(self, request: Request) -> Principal | None:
        """Return whose credentials the call has: a bearer token's before a cookie's.

        No credentials are nobody's; credentials that are given and are not good are a 401. A cookie
        that is not good counts as none: a browser sends it whether it is or not.
        """
        now = self._gateway.now
        authorization = request.headers.get("authorization")
        if authorization is not None:
            scheme, _, text = authorization.partition(" ")
            principal = None
            if scheme.lower() == "bearer":
                principal = await self._bearer(text.strip(), now)
            if principal is None:
                raise unauthenticated(error="invalid_token")
            return principal
        cookie = request.cookies.get(COOKIE)
        if not cookie or len(cookie) > CREDENTIAL_LENGTH_MAX:
            return None
        async with self._gateway.connection() as connection:
            return await principal_of_session(connection, cookie, now)

    async def _bearer(self, text: str, now: datetime) -> Principal | None:
        """Return whose token it is: one of ours, or a JWT of the configured issuer."""
        if text.startswith(TOKEN_PREFIX):
            if len(text) > CREDENTIAL_LENGTH_MAX:
                return None
            async with self._gateway.connection() as connection:
                return await principal_of_token(connection, text, now)
        openid = self._gateway.openid
        if openid is None or openid.client.audience is None:
            return None
        try:
            claims = await openid.claims(text, openid.client.audience)
        except BadTokenError as error:
            structlog.get_logger().info("openid.bad_token", reason=str(error))
            return None
        async with self._gateway.connection() as connection:
            return await principal_of_subject(connection, claims, text)

    def check_site(self, request: Request) -> None:
        """Refuse a write that a browser sends for another site's page.

        Browsers say where a write comes from, in one header or the other. A program that is no
        browser says nothing, and nobody can make it send a cookie that it does not mean to send.
        """
        if request.method in SAFE_METHODS or "authorization" in request.headers:
            return
        origin = request.headers.get("origin")
        if origin is not None:
            if not self._is_ours(origin, request):
                raise ProblemError("CROSS_SITE_REQUEST")
            return
        site = request.headers.get("sec-fetch-site")
        if site is not None and site not in _SAME_SITE:
            raise ProblemError("CROSS_SITE_REQUEST")

    def _is_ours(self, origin: str, request: Request) -> bool:
        public_url = self._gateway.settings.public_url
        if origin == public_url:
            return True
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"}:
            return False
        return public_url is None and parts.netloc == request.headers.get("host")

    def _count(self, request: Request, principal: Principal | None) -> None:
        caller = f"address {place_of(request)}" if principal is None else principal.user_id
        left, wait_seconds = self._limits.take(caller)
        headers = self._limits.headers(left)
        if wait_seconds:
            headers["Retry-After"] = str(ceil(wait_seconds))
            raise ProblemError("TOO_MANY_REQUESTS", headers=headers)
        request.state.headers.update(headers)


def place_of(request: Request) -> str:
    """Return the address that the call comes from; proxies that are trusted are looked through."""
    gateway: Gateway = request.app.state.gateway
    peer = "unknown" if request.client is None else request.client.host
    trusted = networks_of(gateway.settings.trusted_proxies)
    if not trusted:
        return peer
    return behind_proxies(peer, request.headers.getlist("x-forwarded-for"), trusted)


def behind_proxies(peer: str, forwarded: Sequence[str], trusted: Networks) -> str:
    """Return the last address that no trusted proxy has: what stands before it may be made up."""
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    place = peer
    while hops and is_in(place, trusted):
        place = hops.pop()
    return place


def is_in(place: str, networks: Networks) -> bool:
    """Return whether an address is in one of the networks; what is no address is in none."""
    try:
        address = ip_address(place)
    except ValueError:
        return False
    return any(address in network for network in networks)


def unauthenticated(error: str | None = None) -> ProblemError:
    """Return the 401 that says how to sign in."""
    challenge = 'Bearer realm="tollgate"' + (f', error="{error}"' if error else "")
    return ProblemError("UNAUTHENTICATED", headers={"WWW-Authenticate": challenge})
