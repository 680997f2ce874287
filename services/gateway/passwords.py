"""Passwords: hashed by argon2id, off the event loop, a few at a time.

A hash costs 19 MiB and about 25 ms (OWASP's second recommendation), so no more than two are made
at once, whoever asks.
"""

import asyncio
import ctypes
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

AT_ONCE_MAX: Final = 2
WAITING_MAX: Final = 64
PASSWORD_LENGTH_MIN: Final = 8
PASSWORD_LENGTH_MAX: Final = 256

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

NOBODYS: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$"
    "W23d5kBMyDCCu4TECEn/xQ$qRrieCjVNsA21AQvIm/Ar7nm/nLGeBe3v9yBu6ksLuY"
)
"""The hash of 32 random bytes that nobody kept, of the same costs as everybody's."""

_MALLOPT_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 1024 * 1024


def return_large_blocks() -> None:
    """Have the memory of a hash go back to the system once it is made.

    glibc learns from the first hash to keep blocks of that size, which would be 20 MiB for each
    thread. Other libraries of C do not, and have no such switch.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MALLOPT_MMAP_THRESHOLD, _LARGE_BYTES)


class BusyError(Exception):
    """Too many passwords wait to be checked."""


class Passwords:
    """Hashes and checks passwords."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        return_large_blocks()
        self._hasher = hasher
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return a password's hash; `BusyError` where too many wait."""
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Return whether the password is the one that was hashed.

        Without a hash it does the same work, and is not: so nobody learns who has an account.
        """
        verified = await self._in_turn(lambda: self._verify(password_hash or NOBODYS, password))
        return verified and password_hash is not None

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise BusyError
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def is_outdated(password_hash: str) -> bool:
    """Return whether the hash was made with other costs than are used now."""
    return _HASHER.check_needs_rehash(password_hash)
