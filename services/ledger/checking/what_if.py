"""Who would gain and who would lose if other shares had been in force from the beginning."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from contracts import money_rules
from contracts.money_rules import TEN_THOUSANDTHS, PayeeRole
from services.ledger.checking.fold import Settlement

ROLES: Final[tuple[PayeeRole, ...]] = ("partner", "agent")


class SharesError(ValueError):
    """Shares that are none: no percentage to 0.01, or more than the whole together."""


@dataclass(frozen=True)
class OtherShares:
    """Shares in basis points; none where a role's shares stay as they were recorded."""

    partner: int | None = None
    agent: int | None = None

    @classmethod
    def read(cls, text: str) -> "OtherShares":
        """Return the shares in a text such as `partner=35.00,agent=5.00`; else `SharesError`."""
        found: dict[str, int] = {}
        for word in text.split(","):
            role, equals, percentage = word.strip().partition("=")
            if not equals or role not in ROLES or role in found:
                raise SharesError(f"{word!r} is not partner=PERCENT or agent=PERCENT, each once")
            found[role] = _basis_points(percentage)
        if sum(found.values()) > TEN_THOUSANDTHS:
            raise SharesError("the shares are more than 100 % together")
        return cls(**found)

    def of(self, role: PayeeRole) -> int | None:
        """Return a role's other share."""
        return self.partner if role == "partner" else self.agent


@dataclass(slots=True)
class PayeeFigures:
    """What somebody earns by, in minor units, and is entitled to, in ten-thousandths of one."""

    true_revenue_minor: int = 0
    entitlement: int = 0
    entitlement_if: int = 0

    def add(self, revenue_minor: int, entitlement: int, entitlement_if: int) -> None:
        """Count more of it."""
        self.true_revenue_minor += revenue_minor
        self.entitlement += entitlement
        self.entitlement_if += entitlement_if

    @property
    def share_minor(self) -> int:
        """Return what they are due, in whole minor units."""
        return money_rules.whole_minor_units(self.entitlement)

    @property
    def share_if_minor(self) -> int:
        """Return what they would be due."""
        return money_rules.whole_minor_units(self.entitlement_if)

    @property
    def gain_minor(self) -> int:
        """Return what they would gain, negative where they would lose."""
        return self.share_if_minor - self.share_minor


@dataclass
class WhatIf:
    """Every payee's figures, by role and id."""

    shares: OtherShares
    payees: dict[tuple[PayeeRole, str], PayeeFigures] = field(default_factory=dict)

    def add(self, settlement: Settlement) -> None:
        """Count what a settlement, or a correction of one, gives its payees."""
        hold, revenue = settlement.hold, settlement.true_revenue_minor
        recorded = {payee.role: payee.basis_points for payee in settlement.payees}
        for role in ROLES:
            payee_id = hold.partner_id if role == "partner" else hold.agent_id
            if payee_id is not None and payee_id != hold.user_id:
                was, other = recorded.get(role, 0), self.shares.of(role)
                then = was if other is None else other
                self.figures(role, payee_id).add(revenue, revenue * was, revenue * then)

    def merge(self, other: "WhatIf") -> None:
        """Count what was added up elsewhere, by the same shares."""
        for key, found in other.payees.items():
            self.figures(*key).add(
                found.true_revenue_minor, found.entitlement, found.entitlement_if
            )

    def figures(self, role: PayeeRole, payee_id: str) -> PayeeFigures:
        """Return a payee's figures."""
        return self.payees.setdefault((role, payee_id), PayeeFigures())

    def rows(self) -> Iterator[tuple[str, str, int, int, int, int]]:
        """Yield (role, payee, revenue, share, share if, gain): first who would gain most."""
        found = sorted(
            self.payees.items(), key=lambda item: (-item[1].gain_minor, item[0][0], item[0][1])
        )
        for (role, payee_id), figures in found:
            yield (
                role,
                payee_id,
                figures.true_revenue_minor,
                figures.share_minor,
                figures.share_if_minor,
                figures.gain_minor,
            )


def _basis_points(percentage: str) -> int:
    whole, point, cents = percentage.partition(".")
    if not (whole.isascii() and whole.isdecimal()) or (point and not _is_cents(cents)):
        raise SharesError(f"{percentage!r} is no percentage such as 35.00")
    basis_points = int(whole) * 100 + int(cents.ljust(2, "0") or 0)
    if basis_points > TEN_THOUSANDTHS:
        raise SharesError(f"{percentage} % is more than the whole")
    return basis_points


_CENTS_DIGITS_MAX: Final = 2


def _is_cents(digits: str) -> bool:
    return digits.isascii() and digits.isdecimal() and 1 <= len(digits) <= _CENTS_DIGITS_MAX
