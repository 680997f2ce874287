"""How often somebody may try to sign in, without telling which e-mail addresses exist.

Each attempt fills three buckets, which drain with time: one of this address from this place, one
of this address from anywhere, one of this place. They fill alike whether the address has an
account or not. A sign-in that succeeds empties the first.
"""

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from runtime.connection import Connection
from services.gateway.account_rows import email_key
from services.gateway.vault import Vault


@dataclass(frozen=True)
class _Bucket:
    size: float
    seconds_each: float


ADDRESS_HERE: Final = _Bucket(size=10, seconds_each=15)
ADDRESS_ANYWHERE: Final = _Bucket(size=100, seconds_each=15)
PLACE: Final = _Bucket(size=120, seconds_each=1)
REGISTRATIONS: Final = _Bucket(size=200, seconds_each=2)


class Throttle:
    """Counts attempts to sign in."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def wait_seconds(
        self, connection: Connection, *, email: str, place: str, now: datetime
    ) -> int:
        """Count an attempt; return 0 where it may be made, else how long to wait."""
        waits = [
            await _fill(connection, key, bucket, now)
            for key, bucket in zip(
                self._keys(email, place), (ADDRESS_HERE, ADDRESS_ANYWHERE, PLACE), strict=True
            )
        ]
        return ceil(max(waits))

    async def registration_wait_seconds(
        self, connection: Connection, *, place: str, now: datetime
    ) -> int:
        """Count an attempt to register; return 0 where it may be made, else how long to wait."""
        key = self._vault.keyed_hash("sign-in", "registrations", place)
        return ceil(await _fill(connection, key, REGISTRATIONS, now))

    async def forgive(self, connection: Connection, *, email: str, place: str) -> None:
        """Forget the attempts on an address from a place: one has succeeded."""
        await connection.execute(
            "delete from sign_in_attempts where key = $1", self._keys(email, place)[0]
        )

    def _keys(self, email: str, place: str) -> tuple[bytes, bytes, bytes]:
        address = email_key(email)
        return (
            self._vault.keyed_hash("sign-in", "address here", address, place),
            self._vault.keyed_hash("sign-in", "address", address),
            self._vault.keyed_hash("sign-in", "place", place),
        )


async def _fill(connection: Connection, key: bytes, bucket: _Bucket, now: datetime) -> float:
    """Put one attempt in; return 0 where there was room, else the seconds until there is."""
    level: float = await connection.fetchval(
        """insert into sign_in_attempts as a (key, level, updated_at) values ($1, 1, $2)
           on conflict (key) do update
           set level = least($4 + 1,
                   greatest(0, a.level - extract(epoch from $2 - a.updated_at) / $3) + 1),
               updated_at = $2
           returning level""",
        key,
        now,
        bucket.seconds_each,
        bucket.size,
    )
    return max(0.0, (level - bucket.size) * bucket.seconds_each)
