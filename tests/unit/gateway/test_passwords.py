"""Passwords: what work is done for whom."""

from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from typing_extensions import override

from services.gateway.passwords import NOBODYS, Passwords, is_outdated


class Counting(PasswordHasher):
    """Works as every hasher does, and keeps the costs of what was asked of it."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self.asked: list[tuple[str, object]] = []

    @override
    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.asked.append(("hash", None))
        return super().hash(password, salt=salt)

    @override
    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - its name there
        self.asked.append(("verify", extract_parameters(str(hash))))
        return super().verify(hash, password)


@pytest.fixture
async def hers() -> str:
    return await Passwords().hash("correct horse battery")


async def test_a_password_is_right_or_wrong(hers: str) -> None:
    passwords = Passwords()

    assert await passwords.is_right("correct horse battery", hers)
    assert not await passwords.is_right("correct horse", hers)
    assert not await passwords.is_right("correct horse battery", "no hash at all")


@pytest.mark.parametrize("password", ["correct horse battery", "wrong", "", "\x00", "é" * 128])
async def test_who_has_no_account_costs_the_work_of_who_has_one(hers: str, password: str) -> None:
    """From the very first sign-in on: nothing is made up only when somebody unknown comes."""
    work = []
    for password_hash in (hers, None):
        hasher = Counting()
        await Passwords(hasher).is_right(password, password_hash)
        work.append(hasher.asked)

    assert work[0] == work[1] == [("verify", extract_parameters(hers))]


async def test_nobodys_hash_has_everybodys_costs() -> None:
    assert not is_outdated(NOBODYS)
    assert not await Passwords().is_right("", None)
