"""The same wallets in the `eventsourcing` library, on the same Postgres: a reference.

A hold takes slices of an awarded and then of a purchased lot, and is settled after; each is one
decision, loaded, decided and saved. The library is called in this process: no message comes over a
bus, nothing is published, and what it stores is not chained by hashes. All that is in its favour.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict
from typing_extensions import override

PRICE: Final = 3
SAVED_AT_ONCE: Final = 50
_NAMESPACE: Final = UUID(int=0)
_KEPT: Final = {
    "AGGREGATE_CACHE_MAXSIZE": "4096",
    "AGGREGATE_CACHE_FASTFORWARD": "n",
    "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
    "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
}
"""Wallets stay in memory, as nobody else writes them, and events are inserted by a function."""

Slices = dict[str, list[int]]
"""Of each lot the credits from and up to but not including."""


class ReferenceWallet(Aggregate):
    """Two lots, of which holds take the awarded one first."""

    @event("Opened")
    def __init__(self, name: str, awarded: int, purchased: int) -> None:
        self.name = name
        self.sizes = {"awarded": awarded, "purchased": purchased}
        self.starts = {"awarded": 0, "purchased": 0}
        self.holds: dict[str, Slices] = {}

    @override
    @staticmethod
    def create_id(name: str) -> UUID:
        """Return the id of a wallet's stream."""
        return uuid5(_NAMESPACE, name)

    def hold(self, hold_id: str, credits_wanted: int) -> None:
        """Decide of which credits a hold is."""
        if hold_id in self.holds:
            return
        slices: Slices = {}
        for kind, start in self.starts.items():
            taken = min(credits_wanted, self.sizes[kind] - start)
            if taken:
                slices[kind] = [start, start + taken]
                credits_wanted -= taken
        if credits_wanted:
            raise ValueError("the wallet cannot pay for this")
        self.hold_placed(hold_id, slices)

    @event("HoldPlaced")
    def hold_placed(self, hold_id: str, slices: Slices) -> None:
        """Take the slices."""
        self.holds[hold_id] = slices
        for kind, (_, end) in slices.items():
            self.starts[kind] = end

    @event("HoldSettled")
    def settle(self, hold_id: str) -> None:
        """Spend a hold's slices."""
        del self.holds[hold_id]


class _Wallets:
    """Decides about wallets, for a while."""

    def __init__(self, dsn: str, wallets: int, configuration: Mapping[str, str]) -> None:
        place = conninfo_to_dict(dsn)
        run = time.monotonic_ns()
        self._names = [f"{run}-{number}" for number in range(wallets)]
        self._application: Application[UUID] = Application(
            {
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "POSTGRES_DBNAME": str(place["dbname"]),
                "POSTGRES_HOST": str(place["host"]),
                "POSTGRES_PORT": str(place["port"]),
                "POSTGRES_USER": str(place["user"]),
                "POSTGRES_PASSWORD": str(place.get("password", "")),
                "POSTGRES_POOL_SIZE": "10",
                **configuration,
            }
        )

    def open(self) -> None:
        """Give every wallet its lots."""
        opened = [ReferenceWallet(name, 500, 1_000_000) for name in self._names]
        self._application.save(*opened)

    def one_by_one(self, names: list[str], until: float) -> int:
        """Hold and settle in each wallet in turn; return how many decisions there were."""
        decisions = 0
        while True:
            for name in names:
                if time.perf_counter() > until:
                    return decisions
                hold_id = f"hold-{decisions}"
                for settling in (False, True):
                    wallet = self._wallet(name)
                    if settling:
                        wallet.settle(hold_id)
                    else:
                        wallet.hold(hold_id, PRICE)
                    self._application.save(wallet)
                    decisions += 1

    def many_at_once(self, names: list[str], until: float) -> int:
        """Hold, or settle, in many wallets in one transaction."""
        decisions = 0
        while time.perf_counter() < until:
            for place in range(0, len(names), SAVED_AT_ONCE):
                for settling in (False, True):
                    wallets = [self._wallet(name) for name in names[place : place + SAVED_AT_ONCE]]
                    for wallet in wallets:
                        if settling:
                            wallet.settle("hold")
                        else:
                            wallet.hold("hold", PRICE)
                    self._application.save(*wallets)
                    decisions += len(wallets)
        return decisions

    def names_of(self, thread: int, threads: int) -> list[str]:
        """Return the wallets that one of the threads has to itself."""
        return self._names[thread::threads]

    def close(self) -> None:
        """Close the connections."""
        self._application.close()

    def _wallet(self, name: str) -> ReferenceWallet:
        found: ReferenceWallet = self._application.repository.get(ReferenceWallet.create_id(name))
        return found


class _Way(NamedTuple):
    """A way to have the library decide."""

    name: str
    configuration: Mapping[str, str]
    threads: int
    decide: Callable[[_Wallets, list[str], float], int]


def decisions_by_default(dsn: str, wallets: int, seconds: float) -> float:
    """Return the library's decisions a second as it comes: one thread, nothing kept in memory."""
    return _rate(dsn, wallets, seconds, _Way("default", {}, 1, _Wallets.one_by_one))


def decisions_at_best(
    dsn: str, wallets: int, seconds: float, threads: int
) -> list[tuple[float, str]]:
    """Return the decisions a second that it was made to reach, and how; the most first."""
    batch = f"{SAVED_AT_ONCE} wallets in a transaction"
    ways = (
        _Way("wallets kept in memory", _KEPT, 1, _Wallets.one_by_one),
        _Way(f"wallets kept in memory, {threads} threads", _KEPT, threads, _Wallets.one_by_one),
        _Way(f"wallets kept in memory, {batch}", _KEPT, 1, _Wallets.many_at_once),
        _Way(
            f"wallets kept in memory, {batch}, {threads} threads",
            *(_KEPT, threads, _Wallets.many_at_once),
        ),
    )
    return sorted(((_rate(dsn, wallets, seconds, way), way.name) for way in ways), reverse=True)


def _rate(dsn: str, wallets: int, seconds: float, way: _Way) -> float:
    reference = _Wallets(dsn, wallets, way.configuration)
    try:
        reference.open()
        begun = time.perf_counter()
        until = begun + seconds
        with ThreadPoolExecutor(way.threads) as pool:
            decisions = sum(
                pool.map(
                    lambda number: way.decide(
                        reference, reference.names_of(number, way.threads), until
                    ),
                    range(way.threads),
                )
            )
        return decisions / (time.perf_counter() - begun)
    finally:
        reference.close()
