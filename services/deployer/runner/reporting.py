"""What a runner says to the deployer: again and again until it is heard, within a bound."""

import asyncio
import time
from typing import Final, Self

import aiohttp

TRY_SECONDS_MAX: Final = 10.0
RETRY_SECONDS: Final = 0.3
STALE: Final = frozenset({401, 409, 410})
"""Answers that say: this attempt has ended, or never was."""


class StaleError(Exception):
    """The deployer has ended this attempt: stop, and say no more."""


class SilenceError(Exception):
    """Nobody has listened for too long."""


class Reporter:
    """Speaks for one attempt at a build."""

    def __init__(self, url: str, token: str) -> None:
        self.url: Final = url
        self.token: Final = token
        self.heard_at = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS_MAX)
        self._session = aiohttp.ClientSession(
            timeout=timeout, headers={"Authorization": f"Bearer {token}"}
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def silence_seconds(self) -> float:
        """Return for how long nobody has answered."""
        return time.monotonic() - self.heard_at

    async def ask(self, method: str, path: str, *, body: bytes | None = None) -> bytes:
        """Return the answer's body; try once. `OSError`-like errors say that nobody was there."""
        async with self._session.request(method, f"{self.url}/{path}", data=body) as response:
            answer = await response.read()
            if response.status in STALE:
                raise StaleError(answer.decode(errors="replace"))
            if response.status >= 500:  # noqa: PLR2004 - HTTP's own boundary
                raise ConnectionError(f"{response.status}")
            if response.status >= 400:  # noqa: PLR2004 - likewise
                raise ValueError(f"{method} {path}: {response.status} {answer!r}")
            self.heard_at = time.monotonic()
            return answer

    async def insist(
        self, method: str, path: str, *, body: bytes | None = None, seconds_max: float
    ) -> bytes:
        """Return the answer, however often it takes to get one; `SilenceError` after the bound."""
        deadline = time.monotonic() + seconds_max
        while True:
            try:
                return await self.ask(method, path, body=body)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise SilenceError(f"{method} {path}: {error!r}") from error
                await asyncio.sleep(RETRY_SECONDS)
