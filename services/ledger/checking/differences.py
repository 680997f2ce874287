"""Where the facts and a read model say different things."""

from dataclasses import dataclass, field
from typing import Any, Final

DIFFERENCES_KEPT: Final = 1_000


@dataclass(frozen=True)
class Difference:
    """One thing that differs: in which read model, of what, and what each side says."""

    where: str
    key: str
    from_facts: str
    live: str


@dataclass
class Differences:
    """The first thousand differences, and how many there are in all."""

    kept: list[Difference] = field(default_factory=list)
    count: int = 0

    def add(self, where: str, key: str, *, from_facts: Any, live: Any) -> None:
        """Note a difference."""
        self.count += 1
        if len(self.kept) < DIFFERENCES_KEPT:
            self.kept.append(Difference(where, key, str(from_facts), str(live)))

    def merge(self, other: "Differences") -> None:
        """Note what was found elsewhere, after what is noted already."""
        self.count += other.count
        self.kept += other.kept[: DIFFERENCES_KEPT - len(self.kept)]

    def compare(self, where: str, key: str, *, from_facts: Any, live: Any) -> None:
        """Note a difference if there is one."""
        if from_facts != live:
            self.add(where, key, from_facts=from_facts, live=live)
