"""Adds up balances, true revenue and shares by user, module, partner, agent or month."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal

from contracts import money_rules
from services.ledger.checking.fold import Settlement

GroupBy = Literal["user", "module", "partner", "agent", "month"]


@dataclass(slots=True)
class Group:
    """The figures of one group; entitlements are exact, in ten-thousandths of a minor unit.

    The balance is that of the group's wallets, and zero unless the groups are users.
    """

    settlements: int = 0
    awarded_spent: int = 0
    purchased_spent: int = 0
    true_revenue_minor: int = 0
    partner_entitlement: int = 0
    agent_entitlement: int = 0
    awarded: int = 0
    purchased: int = 0
    awarded_held: int = 0
    purchased_held: int = 0
    awarded_frozen: int = 0
    purchased_frozen: int = 0
    debt: int = 0

    def add_balance(self, balance: Sequence[int]) -> None:
        """Count a wallet: the parts of its balance in the order in which facts record them."""
        awarded, purchased, awarded_held, purchased_held, *rest = balance
        self.awarded += awarded
        self.purchased += purchased
        self.awarded_held += awarded_held
        self.purchased_held += purchased_held
        awarded_frozen, purchased_frozen, debt = rest
        self.awarded_frozen += awarded_frozen
        self.purchased_frozen += purchased_frozen
        self.debt += debt

    def add_group(self, other: "Group") -> None:
        """Count what another group has earned and spent."""
        self.settlements += other.settlements
        self.awarded_spent += other.awarded_spent
        self.purchased_spent += other.purchased_spent
        self.true_revenue_minor += other.true_revenue_minor
        self.partner_entitlement += other.partner_entitlement
        self.agent_entitlement += other.agent_entitlement

    def merge(self, other: "Group") -> None:
        """Count all of another group's figures."""
        for part in fields(self):
            setattr(self, part.name, getattr(self, part.name) + getattr(other, part.name))

    def add(self, settlement: Settlement) -> None:
        """Count a settlement."""
        self.settlements += settlement.count
        self.awarded_spent += settlement.awarded_credits
        self.purchased_spent += settlement.purchased_credits
        self.true_revenue_minor += settlement.true_revenue_minor
        for payee in settlement.payees:
            due = money_rules.entitlement(
                revenue_minor=settlement.true_revenue_minor, basis_points=payee.basis_points
            )
            if payee.role == "partner":
                self.partner_entitlement += due
            else:
                self.agent_entitlement += due

    @property
    def credits_spent(self) -> int:
        """Return what the settled deployments cost."""
        return self.awarded_spent + self.purchased_spent

    @property
    def partner_share_minor(self) -> int:
        """Return what partners are due, in whole minor units."""
        return money_rules.whole_minor_units(self.partner_entitlement)

    @property
    def agent_share_minor(self) -> int:
        """Return what agents are due, in whole minor units."""
        return money_rules.whole_minor_units(self.agent_entitlement)


@dataclass
class Totals:
    """Groups by their key; the key of what belongs to nobody is none."""

    group_by: GroupBy
    groups: dict[str | None, Group] = field(default_factory=dict)
    total: Group = field(default_factory=Group)
    wallets: int = 0

    def add(self, settlement: Settlement) -> None:
        """Count a settlement in its group."""
        self._group(key_of(settlement, self.group_by)).add(settlement)
        self.total.add(settlement)

    def add_group(self, key: str | None, figures: Group) -> None:
        """Count figures that were added up elsewhere."""
        self._group(key).add_group(figures)
        self.total.add_group(figures)

    def add_wallet(self, user_id: str, balance: Sequence[int]) -> None:
        """Count a wallet; it is a group of its own where the groups are users."""
        self.wallets += 1
        self.total.add_balance(balance)
        if self.group_by == "user":
            self._group(user_id).add_balance(balance)

    def merge(self, other: "Totals") -> None:
        """Count what other wallets come to, in the same grouping."""
        for key, figures in other.groups.items():
            self._group(key).merge(figures)
        self.total.merge(other.total)
        self.wallets += other.wallets

    def _group(self, key: str | None) -> Group:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group()
        return group


def key_of(settlement: Settlement, group_by: GroupBy) -> str | None:
    """Return the group that a settlement belongs to; months are UTC, `2026-03`."""
    hold = settlement.hold
    match group_by:
        case "user":
            return hold.user_id
        case "module":
            return hold.module_id
        case "partner":
            return hold.partner_id
        case "agent":
            return hold.agent_id
        case "month":
            return month_of(settlement.at)


def month_of(at: datetime) -> str:
    """Return the month that an instant is in, as `2026-03`."""
    return at.strftime("%Y-%m")
