"""What a runner says to the deployer: again and again until it is heard, within a bound."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Self

import aiohttp

from runtime.clock import monotonic_seconds

TRY_SECONDS_MAX: Final = 10.0
SOURCE_SECONDS_MAX: Final = 120.0
RETRY_SECONDS_MIN: Final = 0.2
RETRY_SECONDS_MAX: Final = 2.0
STALE: Final = frozenset({401, 403, 409, 410})
"""Answers that say: this attempt has ended, or never was."""


class StaleError(Exception):
    """The deployer has ended this attempt: stop, and say no more."""


class SilenceError(Exception):
    """Nobody has answered for too long."""


class RefusedError(Exception):
    """The deployer cannot use what it was told, and would not the next time either."""


NOT_NOW: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What says that nobody was there, or nobody who could answer: worth another try."""


class Reporter:
    """Speaks for one attempt at a build."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        seconds_max: float = TRY_SECONDS_MAX,
    ) -> bytes:
        """Return the answer's body; try once. `NOT_NOW` errors say that nobody was there."""
        bound = aiohttp.ClientTimeout(total=seconds_max)
        async with self._session.request(
            method, f"{self._url}/{path}", data=body, timeout=bound
        ) as response:
            answer = await response.read()
            if response.status in STALE:
                raise StaleError(answer.decode(errors="replace"))
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise ConnectionError(f"{response.status}")
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise RefusedError(f"{method} {path}: {response.status} {answer!r}")
            return answer

    async def insist(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        seconds_max: float = TRY_SECONDS_MAX,
        worth_it: Callable[[], bool],
    ) -> bytes:
        """Return the answer, however often it takes; `SilenceError` once it is not worth it."""
        wait = RETRY_SECONDS_MIN
        while True:
            try:
                return await self.ask(method, path, body=body, seconds_max=seconds_max)
            except NOT_NOW as error:
                if not worth_it():
                    raise SilenceError(f"{method} {path}: {error!r}") from error
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_SECONDS_MAX)


def until(seconds: float) -> Callable[[], bool]:
    """Return what says whether so many seconds from now have not passed yet."""
    deadline = monotonic_seconds() + seconds
    return lambda: monotonic_seconds() < deadline
