"""Which other sites' pages may call (CORS): those of the settings, with a bearer token.

Cookies are never for them: what they ask is not credentialed, so a browser neither sends a cookie
nor takes one.
"""

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

MAX_AGE_SECONDS: Final = 600
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID"
    ),
    "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
}
_EXPOSED: Final = (
    "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed, RateLimit, RateLimit-Policy"
)


class Cors:
    """Answers for the origins of the settings, and for no other."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    def allows(self, scope: Scope) -> Mapping[str, str]:
        """Return the headers that let a page of an allowed origin read the answer."""
        origin = Headers(scope=scope).get("origin")
        if origin is None or origin not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
        }

    def preflight(self, scope: Scope) -> Mapping[str, str] | None:
        """Return the answer's headers where a browser asks whether it may call; else nothing."""
        headers = Headers(scope=scope)
        if scope["method"] != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        allowed = self.allows(scope)
        return {**allowed, **_PREFLIGHT} if allowed else None
