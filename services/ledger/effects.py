"""What each fact moves, spends and earns, from what it says alone.

Nothing here knows the wallet that a fact happened in: a fact names every slice that it is about.
Only what is frozen does not follow from it, for a fact does not say which lots are disputed.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from contracts import money_rules
from services.ledger.balances import parts
from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    DebtRepaid,
    DisputeClosed,
    DisputeOpened,
    Fact,
    Hold,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    Lot,
    PurchaseRefunded,
    Reversal,
    SettlementRefunded,
    SettlementReversed,
    Slice,
)


class Effect(NamedTuple):
    """What a fact does.

    `moved` is what it adds to the parts of the balance, `…_spent` to the credits that settlements
    were paid with, `earns` its true revenue in minor units, for so many `earning` credits;
    `slices` are all it names, by their fate.
    """

    hold: Hold | None = None
    lot: Lot | None = None
    moved: Mapping[str, int] = {}
    awarded_spent: int = 0
    purchased_spent: int = 0
    earns: int = 0
    earning: int = 0
    slices: tuple[tuple[str, tuple[Slice, ...]], ...] = ()


def effect_of(fact: Fact) -> Effect:  # noqa: PLR0911 - one return for each fact
    """Return what a fact does to a wallet and to what was earned."""
    match fact:
        case CreditsAwarded(lot=lot) | CreditsPurchased(lot=lot):
            kind = "purchased" if lot.kind == "purchase" else "awarded"
            return Effect(lot=lot, moved={kind: lot.credits})
        case HoldPlaced(hold=hold):
            awarded, purchased = parts(hold.slices)
            moved = {"awarded_held": awarded, "purchased_held": purchased}
            return Effect(hold, moved=moved, slices=(("held", hold.slices),))
        case HoldSettled(hold=hold):
            return _settled(hold)
        case HoldReleased(hold=hold, voided=voided):
            awarded, purchased = parts(hold.slices)
            moved = {"awarded_held": -awarded, "purchased_held": -purchased} | _gone(voided)
            return Effect(hold, moved=moved, slices=(("released", hold.slices), ("voided", voided)))
        case CreditsExpired(slices=slices):
            return Effect(moved=_gone(slices), slices=(("expired", slices),))
        case CreditsAdjusted(slices=slices):
            return Effect(moved=_gone(slices), slices=(("adjusted", slices),))
        case HoldRefused():
            return Effect()
        case _:
            return _unwound(fact)


def _unwound(fact: Reversal) -> Effect:
    match fact:
        case SettlementRefunded():
            return _refunded(fact)
        case PurchaseRefunded(slices=slices):
            fates = (("voided", slices), ("doomed", fact.held), ("void_before", fact.ended))
            return Effect(moved=_gone(slices), slices=fates)
        case SettlementReversed(hold=hold, slices=slices):
            debt = sum(each.credits for each in slices)
            return Effect(
                hold,
                moved={"purchased": -debt, "debt": debt},
                earns=-revenue_of(slices),
                earning=-parts(slices)[1],
                slices=(("reversed", slices),),
            )
        case DebtRepaid():
            return _repaid(fact)
        case DisputeOpened(slices=slices):
            return Effect(slices=(("frozen", slices),))
        case DisputeClosed(slices=slices):
            return Effect(slices=(("thawed", slices),))
        case _:
            assert_never(fact)


def _settled(hold: Hold) -> Effect:
    awarded, purchased = parts(hold.slices)
    moved = {"awarded_held": -awarded, "purchased_held": -purchased} | _gone(hold.slices)
    return Effect(
        hold=hold,
        moved=moved,
        awarded_spent=awarded,
        purchased_spent=purchased,
        earns=revenue_of(hold.slices),
        earning=purchased,
        slices=(("spent", hold.slices),),
    )


def _refunded(fact: SettlementRefunded) -> Effect:
    awarded, purchased = parts(fact.slices)
    awarded_owed, purchased_owed = parts(fact.debt_cancelled)
    debt = awarded_owed + purchased_owed
    return Effect(
        hold=fact.hold,
        moved={"awarded": awarded, "purchased": purchased + debt, "debt": -debt},
        awarded_spent=-awarded - awarded_owed,
        purchased_spent=-purchased - purchased_owed,
        earns=-revenue_of(fact.slices),
        earning=-purchased,
        slices=(("returned", fact.slices), ("debt_cancelled", fact.debt_cancelled)),
    )


def _repaid(fact: DebtRepaid) -> Effect:
    """Return what a repayment does: what was owed is paid, with purchased credits."""
    awarded, purchased = parts(fact.slices)
    awarded_owed, purchased_owed = parts(fact.reversed)
    debt = awarded_owed + purchased_owed
    return Effect(
        hold=fact.hold,
        moved={"awarded": -awarded, "purchased": debt - purchased, "debt": -debt},
        awarded_spent=awarded - awarded_owed,
        purchased_spent=purchased - purchased_owed,
        earns=revenue_of(fact.slices),
        earning=purchased,
        slices=(("replaced", fact.reversed), ("spent", fact.slices)),
    )


def _gone(slices: Sequence[Slice]) -> dict[str, int]:
    awarded, purchased = parts(slices)
    return {"awarded": -awarded, "purchased": -purchased}


def revenue_of(slices: Sequence[Slice]) -> int:
    """Return the true revenue of slices, in minor units."""
    return sum(
        money_rules.slice_revenue(
            lot_kind=each.lot_kind,
            price_minor=each.lot_price_minor,
            lot_credits=each.lot_credits,
            start=each.start,
            end=each.end,
        )
        for each in slices
    )


def payees_of(hold: Hold) -> tuple[money_rules.Payee, ...]:
    """Return who earns a share of what a hold earns."""
    return money_rules.payees(
        user_id=hold.user_id,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        partner_basis_points=hold.share_rule.partner_basis_points,
        agent_basis_points=hold.share_rule.agent_basis_points,
    )
