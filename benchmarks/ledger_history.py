"""A ledger's history to measure on: some wallets decided by the rules, then copied many times.

The copies differ in whose wallets they are and in the keys of their holds, and in nothing else, so
ten million facts take seconds and every check passes on them.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runtime.refusal import Refusal
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
ROW_GROUP: Final = 131_072
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


def write(path: Path, facts: int) -> int:
    """Write a segment's columns of about so many facts; return how many there are."""
    template = table_of(lives()).drop_columns(list(_NOT_COPIED))
    copies = max(1, facts // template.num_rows)
    keys = template["hold_key"].to_numpy()
    streams = template["stream"].combine_chunks().dictionary_encode()
    names = streams.dictionary.to_pylist()
    chance = np.random.default_rng(1)
    with pq.ParquetWriter(path, template.schema, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for copy in range(copies):
            renamed = [name.replace("wallet-", f"wallet-{copy:06}-") for name in names]
            copied = template
            for name, values in (
                ("stream", renamed),
                ("user_id", [name.removeprefix("wallet-") for name in renamed]),
            ):
                column = pa.DictionaryArray.from_arrays(streams.indices, pa.array(values)).cast(
                    pa.string()
                )
                copied = copied.set_column(copied.schema.get_field_index(name), name, column)
            mixed = np.where(keys == 0, 0, keys ^ chance.integers(1, 2**62))
            place = copied.schema.get_field_index("hold_key")
            field_of_keys = template.schema.field("hold_key")
            waiting.append(copied.set_column(place, field_of_keys, pa.array(mixed)))
            if sum(table.num_rows for table in waiting) >= 8 * ROW_GROUP or copy == copies - 1:
                whole = pa.concat_tables(waiting).cast(template.schema)
                writer.write_table(whole, row_group_size=ROW_GROUP)
                waiting = []
    written: int = copies * template.num_rows
    return written
