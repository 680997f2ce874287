"""What a deployment costs, and whether a wallet can bear it: one pure function for all who ask.

The ledger applies it to a wallet under its lock. A quote applies it to what the gateway knows of
the wallet, and binds nobody. Whole credits only.
"""

from typing import Literal, NamedTuple

Gate = Literal["STANDARD", "PREMIUM", "OWN_MODULE", "CREDITS_OFF"]
"""Which rule a deployment went through; the last two let it pass for nothing."""

Shortage = Literal["INSUFFICIENT_TOTAL_CREDITS", "INSUFFICIENT_PURCHASED_CREDITS"]


class Verdict(NamedTuple):
    """What a deployment costs, and of which credits; or what is short, and how much there is.

    With a `shortage` both parts are 0, and `available` is the figure that was too small: all
    available credits, or the purchased ones. Otherwise `available` is all of them.
    """

    gate: Gate
    cost: int
    awarded_part: int
    purchased_part: int
    available: int
    shortage: Shortage | None


def gate_and_cost(
    *, list_price: int, premium: bool, own_module: bool, credits_enabled: bool
) -> tuple[Gate, int]:
    """Return which rule applies to a deployment and what it costs, in this order.

    A partner deploys a module of their own for nothing; with credits switched off everybody
    deploys everything for nothing; else it costs the module's price.
    """
    if own_module:
        return "OWN_MODULE", 0
    if not credits_enabled:
        return "CREDITS_OFF", 0
    return ("PREMIUM" if premium else "STANDARD"), list_price


def judge(
    *,
    list_price: int,
    premium: bool,
    own_module: bool,
    credits_enabled: bool,
    available_awarded: int,
    available_purchased: int,
) -> Verdict:
    """Return whether a wallet with these available credits can bear a deployment.

    All credits must cover the cost, which is asked first; for a premium module the purchased ones
    alone must. Where the deployment passes for nothing, neither is asked. Awarded credits are
    spent before purchased ones, except for a premium module, which takes purchased ones only.
    """
    gate, cost = gate_and_cost(
        list_price=list_price,
        premium=premium,
        own_module=own_module,
        credits_enabled=credits_enabled,
    )
    total = available_awarded + available_purchased
    match gate:
        case "OWN_MODULE" | "CREDITS_OFF":
            return Verdict(gate, 0, 0, 0, total, None)
        case _ if total < cost:
            return Verdict(gate, cost, 0, 0, total, "INSUFFICIENT_TOTAL_CREDITS")
        case "PREMIUM" if available_purchased < cost:
            return Verdict(gate, cost, 0, 0, available_purchased, "INSUFFICIENT_PURCHASED_CREDITS")
        case "PREMIUM":
            return Verdict(gate, cost, 0, cost, total, None)
        case _:
            awarded_part = min(cost, available_awarded)
            return Verdict(gate, cost, awarded_part, cost - awarded_part, total, None)
