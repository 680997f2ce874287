"""How many calls one user, or one address that nobody signed in from, may make."""

from collections import OrderedDict
from typing import Final

from runtime.clock import monotonic_seconds

BUCKETS_MAX: Final = 20_000


class RateLimits:
    """A bucket of calls for each caller, which fills at a steady rate."""

    def __init__(self, per_second: int, burst: int) -> None:
        self.per_second = per_second
        self.burst = max(burst, per_second)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> tuple[int, float]:
        """Return (calls left, 0) and take one; or (0, seconds until there is one)."""
        now = monotonic_seconds()
        left, at = self._buckets.pop(caller, (float(self.burst), now))
        left = min(float(self.burst), left + (now - at) * self.per_second)
        taken = left >= 1
        self._buckets[caller] = (left - 1 if taken else left, now)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return (int(left - 1), 0.0) if taken else (0, (1 - left) / self.per_second)

    def headers(self, left: int) -> dict[str, str]:
        """Return what the caller is told of it (draft-ietf-httpapi-ratelimit-headers)."""
        seconds = max(1, self.burst // self.per_second)
        return {
            "RateLimit-Policy": f'"calls";q={self.burst};w={seconds}',
            "RateLimit": f'"calls";r={left};t={seconds}',
        }
