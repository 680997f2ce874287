"""The arithmetic of money that more than one reader of the ledger must do alike.

Revenue decides by it, and a replay of the ledger's facts checks by it. Whole numbers only. A
*ten-thousandth* is the unit of exact entitlements: a minor unit of money times a basis point.
"""

from dataclasses import dataclass
from typing import Final, Literal

TEN_THOUSANDTHS: Final = 10_000
"""In one minor unit of money; also the basis points in the whole."""

PayeeRole = Literal["partner", "agent"]


@dataclass(frozen=True)
class Payee:
    """Somebody who earns a share of one deployment's true revenue."""

    payee_id: str
    role: PayeeRole
    basis_points: int


def slice_value(*, price_minor: int, lot_credits: int, start: int, end: int) -> int:
    """Return what credits `start` to `end` of a lot are worth, in minor units.

    However a lot is cut, its slices sum to exactly its price: each end is rounded down on its
    own, so what one slice lacks the next one has. `ValueError` where there is no such range.
    """
    if not 0 <= start <= end <= lot_credits or lot_credits == 0:
        raise ValueError(f"no credits {start} to {end} in a lot of {lot_credits}")
    return price_minor * end // lot_credits - price_minor * start // lot_credits


def slice_revenue(
    *, lot_kind: str, price_minor: int, lot_credits: int, start: int, end: int
) -> int:
    """Return the true revenue of a spent slice, in minor units: only purchased credits earn."""
    if lot_kind != "purchase":
        return 0
    return slice_value(price_minor=price_minor, lot_credits=lot_credits, start=start, end=end)


def payees(
    *,
    user_id: str,
    partner_id: str | None,
    agent_id: str | None,
    partner_basis_points: int,
    agent_basis_points: int,
) -> tuple[Payee, ...]:
    """Return who earns a share when `user_id` deploys: the partner first, then the agent.

    Nobody earns from a deployment of their own, nor with a share of nothing. Somebody who is both
    the partner and the agent stands here twice, once in each role: the shares add up.
    """
    candidates = (
        Payee(partner_id, "partner", partner_basis_points) if partner_id is not None else None,
        Payee(agent_id, "agent", agent_basis_points) if agent_id is not None else None,
    )
    return tuple(
        payee
        for payee in candidates
        if payee is not None and payee.payee_id != user_id and payee.basis_points > 0
    )


def entitlement(*, revenue_minor: int, basis_points: int) -> int:
    """Return the exact share of an amount, in ten-thousandths of a minor unit."""
    return revenue_minor * basis_points


def whole_minor_units(entitlement_total: int) -> int:
    """Return all that a payee is due for their exact entitlements so far, in minor units.

    The floor of the sum, never the sum of floors: so a payee is short of less than one minor unit
    for ever, and the order of the settlements changes no total.
    """
    return entitlement_total // TEN_THOUSANDTHS


def accrue(*, remainder: int, revenue_minor: int, basis_points: int) -> tuple[int, int]:
    """Return (share in minor units, new remainder) for one more line of a payee.

    `remainder` is what of the entitlements before was too little for a whole minor unit, 0 to
    9,999 ten-thousandths. Equal to `whole_minor_units` of the new sum less that of the old one;
    a negative amount takes back what it gave.
    """
    if not 0 <= remainder < TEN_THOUSANDTHS:
        raise ValueError(f"{remainder} ten-thousandths are no remainder")
    due = remainder + entitlement(revenue_minor=revenue_minor, basis_points=basis_points)
    return divmod(due, TEN_THOUSANDTHS)
