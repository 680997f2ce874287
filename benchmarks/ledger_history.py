"""A ledger's history to measure on: some wallets decided by the rules, then copied many times.

The copies differ in whose wallets they are and in the keys of their holds, and in nothing else, so
ten million facts take seconds and every check passes on them.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runtime.ids import new_id
from runtime.refusal import Refusal
from runtime.segments.sealer import SEGMENT_FACTS_MAX
from runtime.segments.segment import ROW_GROUP_FACTS
from runtime.store import GENESIS_HASH, FactRow, canonical_values, chain_hash
from services.ledger.columns import arrays_of
from services.ledger.commands import (
    AwardCredits,
    ExpireDueLots,
    PlaceHold,
    RecordPurchase,
    ReleaseHold,
    SettleHold,
    WalletCommand,
)
from services.ledger.decider import decide, evolve
from services.ledger.events import Fact, Hold, HoldPlaced
from services.ledger.knowledge import DeploymentHolds, KnownHold, Settings, Shares
from services.ledger.wallet import Wallet

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
TEMPLATES: Final = 200
FACTS_OF_A_WALLET: Final = 100
_SETTINGS: Final = Settings(version=3, shares=(Shares(START, 3000, 500),))
_NOT_COPIED: Final = ("lot", "slices")


@dataclass
class Life:
    """One wallet, as things happen to it; `facts` is what came of it, with the times."""

    user_id: str
    chance: random.Random
    at: datetime = START
    wallet: Wallet = field(default_factory=Wallet)
    facts: list[tuple[datetime, Fact]] = field(default_factory=list)
    open_holds: list[HoldPlaced] = field(default_factory=list)
    number: int = 0

    def live(self, facts: int) -> None:
        """Let things happen until there are so many facts."""
        self._tell(self._purchase())
        while len(self.facts) < facts:
            self.at += timedelta(minutes=self.chance.randrange(1, 3_000))
            self.number += 1
            self._tell(self._anything())
        del self.facts[facts:]

    def _anything(self) -> WalletCommand:
        dice = self.chance.random()
        if self.open_holds and (dice < 0.45 or len(self.open_holds) > 2):
            return self._end(self.open_holds.pop(0).hold, settled=dice < 0.38)
        if dice < 0.90:
            return self._hold()
        if dice < 0.94:
            return self._award()
        return self._purchase() if dice < 0.99 else ExpireDueLots()

    def _tell(self, command: WalletCommand) -> None:
        try:
            facts = decide(command, self.wallet, self.at)
        except Refusal:
            return
        for fact in facts:
            self.wallet = evolve(self.wallet, fact)
            self.facts.append((self.at, fact))
            if isinstance(fact, HoldPlaced):
                self.open_holds.append(fact)

    def _award(self) -> AwardCredits:
        return AwardCredits(
            user_id=self.user_id,
            lot_id=f"{self.user_id}-lot-{self.number}",
            kind="award.admin",
            credits=self.chance.randrange(1, 200),
            currency="USD",
            source="award:bench",
            reason="bench",
            awarded_by="admin",
            expires_at=self.at + timedelta(days=self.chance.randrange(5, 90)),
        )

    def _purchase(self) -> RecordPurchase:
        credits_bought = self.chance.randrange(100, 2_000)
        return RecordPurchase(
            user_id=self.user_id,
            lot_id=f"{self.user_id}-lot-{self.number}",
            credits=credits_bought,
            price_minor=credits_bought * 97 + self.chance.randrange(50),
            currency="USD",
            platform_currency="USD",
            source="INV",
            recorded_by="admin",
        )

    def _hold(self) -> PlaceHold:
        module = self.chance.randrange(50)
        name = f"{self.user_id}-{self.number}"
        return PlaceHold(
            user_id=self.user_id,
            hold_id=f"hold-{name}",
            deployment_id=f"deployment-{name}",
            build_id=f"build-{name}",
            module_id=f"module-{module}",
            module_name=f"module-{module}",
            module_version=1,
            partner_id=None if module % 2 else f"partner-{module % 10}",
            agent_id=None if self.chance.random() < 0.5 else f"agent-{module % 7}",
            project="bench",
            list_price=self.chance.randrange(1, 80),
            premium=self.chance.random() < 0.15,
            requested_at=self.at,
            expires_at=self.at + timedelta(days=1),
            settings=_SETTINGS,
            deployment=DeploymentHolds(),
        )

    def _end(self, hold: Hold, *, settled: bool) -> WalletCommand:
        known = KnownHold(hold_id=hold.hold_id, fate="PLACED", hold=hold)
        deployment = DeploymentHolds(holds=(known,))
        if settled:
            return SettleHold(hold_id=hold.hold_id, deployment=deployment)
        return ReleaseHold(hold_id=hold.hold_id, reason="FAILED", deployment=deployment)


def lives(wallets: int = TEMPLATES, facts: int = FACTS_OF_A_WALLET, *, seed: int = 1) -> list[Life]:
    """Return wallets that as many facts happened to, the same for the same seed."""
    found = [Life(f"user-{number:06}", _chance(seed, number)) for number in range(wallets)]
    for life in found:
        life.live(facts)
    return found


def _chance(seed: int, number: int) -> random.Random:
    return random.Random(f"{seed} {number}")  # noqa: S311 - a history, and no secret


def table_of(wallets: list[Life]) -> pa.Table:
    """Return the columns of the wallets' facts, raw ones first, without their bodies."""
    facts = [(f"wallet-{life.user_id}", at, fact) for life in wallets for at, fact in life.facts]
    raw = {
        "stream": pa.array([stream for stream, _, _ in facts], pa.string()),
        "version": pa.array(
            [number for life in wallets for number in range(1, len(life.facts) + 1)], pa.int64()
        ),
        "at": pa.array([at for _, at, _ in facts], pa.timestamp("us", tz="UTC")),
    }
    return pa.table(raw | arrays_of(facts))


def rows_of(wallets: list[Life]) -> list[FactRow]:
    """Return the wallets' facts as they are stored, chained, in the order of their streams."""
    rows: list[FactRow] = []
    for life in sorted(wallets, key=lambda life: life.user_id):
        previous = GENESIS_HASH
        for version, (at, fact) in enumerate(life.facts, 1):
            stored: dict[str, Any] = {
                "stream": f"wallet-{life.user_id}",
                "version": version,
                "id": new_id(),
                "at": at,
                "body": msgspec.json.encode(fact).decode(),
                "actor": "bench",
                "correlation_id": "bench",
                "causation_id": None,
            }
            digest = chain_hash(canonical_values(**stored), previous)
            rows.append(FactRow(**stored, previous_hash=previous, hash=digest))
            previous = digest
    return rows


def write(folder: Path, facts: int) -> list[Path]:
    """Write about so many facts as the columns of segments, and return these files, in order."""
    template = table_of(lives()).drop_columns(list(_NOT_COPIED))
    copies_in_a_segment = max(1, SEGMENT_FACTS_MAX // template.num_rows)
    copies = max(1, facts // template.num_rows)
    paths: list[Path] = []
    for first in range(0, copies, copies_in_a_segment):
        numbers = range(first, min(copies, first + copies_in_a_segment))
        whole = pa.concat_tables([_copied(template, number) for number in numbers])
        paths.append(folder / f"segment-{len(paths) + 1:09d}.parquet")
        pq.write_table(whole, paths[-1], compression="zstd", row_group_size=ROW_GROUP_FACTS)
    return paths


def _copied(template: pa.Table, number: int) -> pa.Table:
    """Return the template as the history of other wallets."""
    streams = template["stream"].combine_chunks().dictionary_encode()
    users = [name.removeprefix("wallet-") for name in streams.dictionary.to_pylist()]
    users = [f"{number:06}-{user}" for user in users]
    keys = template["hold_key"].to_numpy()
    mask = random.Random(number).getrandbits(62)  # noqa: S311 - keys that differ, and no secret
    columns = {
        "stream": _named(streams, [f"wallet-{user}" for user in users]),
        "user_id": _named(streams, users),
        "hold_key": pa.array(np.where(keys == 0, 0, keys ^ mask)),
    }
    for name, column in columns.items():
        place = template.schema.get_field_index(name)
        template = template.set_column(place, template.schema.field(place), column)
    return template


def _named(codes: pa.DictionaryArray, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes.indices, pa.array(names)).cast(pa.string())
