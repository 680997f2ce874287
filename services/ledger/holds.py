"""The life of a hold: placed or refused, then settled or released, exactly once."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from contracts.credit_rules import Verdict, judge
from runtime.refusal import Refusal
from services.ledger import balances
from services.ledger.burn_order import ALGORITHM_VERSION, take
from services.ledger.commands import PlaceHold, ReleaseHold, SettleHold
from services.ledger.events import (
    Fact,
    Hold,
    HoldPlaced,
    HoldRefusalCode,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    SettlementReversed,
    Slice,
)
from services.ledger.evolution import evolve
from services.ledger.knowledge import DeploymentHolds
from services.ledger.lots import expire_due
from services.ledger.open_lots import ContradictionError
from services.ledger.settled_parts import without_slices
from services.ledger.unwinding import case_of
from services.ledger.wallet import Wallet


def place(command: PlaceHold, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return the hold that is placed, or why it is refused."""
    if command.deployment.known(command.hold_id) is not None:
        return []
    _refuse_second_hold(command.deployment)
    facts, wallet = expire_due(wallet, at)
    verdict = judge(
        list_price=command.list_price,
        premium=command.premium,
        own_module=command.partner_id == command.user_id,
        credits_enabled=command.settings.credits_enabled,
        available_awarded=wallet.balance.available_awarded,
        available_purchased=wallet.balance.available_purchased,
    )
    if command.expires_at <= at:
        return [*facts, _refused(command, wallet, verdict, "HOLD_REQUEST_EXPIRED")]
    if verdict.shortage is not None:
        return [*facts, _refused(command, wallet, verdict, verdict.shortage)]
    slices = take(wallet.lots.values(), verdict.cost, purchased_only=verdict.gate == "PREMIUM")
    balance = balances.held(wallet.balance, slices)
    return [*facts, HoldPlaced(hold=_hold(command, wallet, verdict, slices, at), balance=balance)]


def settle(command: SettleHold, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return that a hold's slices are spent."""
    known = command.deployment.known(command.hold_id)
    if known is not None and known.fate == "SETTLED":
        return []
    hold = _open_hold(command.deployment, command.hold_id)
    facts, wallet = expire_due(wallet, at)
    settled = HoldSettled(hold=hold, balance=balances.spent(wallet.balance, hold.slices))
    if not wallet.cases:
        return [*facts, settled]
    return [*facts, settled, *_reversals(settled, doomed_of(hold, wallet))]


def release(command: ReleaseHold, wallet: Wallet, at: datetime) -> list[Fact]:
    """Return that a hold's slices are given back; what is past its expiry ends right after."""
    known = command.deployment.known(command.hold_id)
    if known is not None and known.fate in ("RELEASED", "REFUSED"):
        return []
    hold = _open_hold(command.deployment, command.hold_id)
    facts, wallet = expire_due(wallet, at)
    balance = balances.released(wallet.balance, hold.slices)
    voided: tuple[Slice, ...] = ()
    if wallet.cases:
        voided = tuple(part for _, part in doomed_of(hold, wallet))
        back = without_slices(hold.slices, voided)
        balance = balances.frozen(balances.ended(balance, voided), frozen_of(back, wallet))
    released = HoldReleased(hold=hold, reason=command.reason, balance=balance, voided=voided)
    came_back_late, _ = expire_due(evolve(wallet, released), at)
    return [*facts, released, *came_back_late]


def doomed_of(hold: Hold, wallet: Wallet) -> list[tuple[str, Slice]]:
    """Return what of an open hold a refund or a lost dispute has doomed, each with its cause."""
    return [
        (doomed.cause, replace(part, start=doomed.start, end=doomed.end))
        for part in hold.slices
        for doomed in case_of(wallet, part.lot_id).doomed
        if part.start <= doomed.start and doomed.end <= part.end
    ]


def frozen_of(slices: Iterable[Slice], wallet: Wallet) -> list[Slice]:
    """Return those of the slices whose lot is disputed: free, they would be frozen."""
    return [part for part in slices if case_of(wallet, part.lot_id).frozen]


def _reversals(settled: HoldSettled, doomed: list[tuple[str, Slice]]) -> list[Fact]:
    """Return that what was doomed became debt as it was spent: one fact for each cause."""
    facts: list[Fact] = []
    balance = settled.balance
    for cause in {cause: None for cause, _ in doomed}:
        slices = tuple(part for its_cause, part in doomed if its_cause == cause)
        balance = balances.indebted(balance, sum(part.credits for part in slices))
        facts.append(
            SettlementReversed(
                hold=settled.hold, slices=slices, cause=cause, refunded_total=0, balance=balance
            )
        )
    return facts


def _hold(
    command: PlaceHold, wallet: Wallet, verdict: Verdict, slices: tuple[Slice, ...], at: datetime
) -> Hold:
    return Hold(
        hold_id=command.hold_id,
        deployment_id=command.deployment_id,
        build_id=command.build_id,
        user_id=command.user_id,
        module_id=command.module_id,
        module_name=command.module_name,
        module_version=command.module_version,
        partner_id=command.partner_id,
        agent_id=command.agent_id,
        project=command.project,
        list_price=command.list_price,
        premium=command.premium,
        gate=verdict.gate,
        cost=verdict.cost,
        slices=slices,
        share_rule=command.settings.share_rule(at),
        currency=wallet.currency or command.settings.currency,
        algorithm_version=ALGORITHM_VERSION,
        requested_at=command.requested_at,
        request_expires_at=command.expires_at,
        placed_at=at,
    )


def _refused(
    command: PlaceHold, wallet: Wallet, verdict: Verdict, code: HoldRefusalCode
) -> HoldRefused:
    return HoldRefused(
        hold_id=command.hold_id,
        deployment_id=command.deployment_id,
        build_id=command.build_id,
        code=code,
        required=verdict.cost,
        available=verdict.available,
        premium=command.premium,
        request_expires_at=command.expires_at,
        balance=wallet.balance,
    )


def _open_hold(deployment: DeploymentHolds, hold_id: str) -> Hold:
    known = deployment.known(hold_id)
    if known is None:
        raise Refusal("UNKNOWN_HOLD", "no such hold was asked for", hold_id=hold_id)
    match known.fate:
        case "REFUSED":
            raise Refusal("HOLD_WAS_REFUSED", "the hold was refused", hold_id=hold_id)
        case "RELEASED":
            raise Refusal("HOLD_ALREADY_RELEASED", "the hold was released", hold_id=hold_id)
        case "SETTLED":
            raise Refusal("HOLD_ALREADY_SETTLED", "the hold was settled", hold_id=hold_id)
        case "PLACED":
            if known.hold is None:
                raise ContradictionError(f"hold {hold_id} is open without its record")
            return known.hold
        case _:
            assert_never(known.fate)


def _refuse_second_hold(deployment: DeploymentHolds) -> None:
    """A deployment is paid for once: no new hold beside one that is open or settled."""
    if not deployment.holds:
        return
    for fate, code in (
        ("SETTLED", "DEPLOYMENT_ALREADY_SETTLED"),
        ("PLACED", "DEPLOYMENT_ALREADY_HELD"),
    ):
        hold_ids = [known.hold_id for known in deployment.holds if known.fate == fate]
        if hold_ids:
            raise Refusal(code, "the deployment has a hold already", hold_id=hold_ids[0])
