"""What the ledger does with a message: lock the wallet, decide, append.

A request of a person that a rule forbids is answered with a refusal. What the deployer says is
never refused: where it contradicts what the ledger knows, the message fails, is tried again, and
is then parked for a person to see.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from contracts.deployer import v1 as deployer
from contracts.envelope import Envelope
from contracts.gateway import v1 as gateway
from runtime.refusal import Refusal
from runtime.work import Command, DocumentKey, Message, Needs, Work
from services.ledger import subscribers
from services.ledger.commands import (
    CloseDispute,
    ExpireDueLots,
    OpenDispute,
    RecordPurchase,
    RefundPurchase,
    WalletCommand,
)
from services.ledger.decider import decide
from services.ledger.knowledge import (
    DEPLOYMENTS,
    LOTS,
    SETTINGS,
    USERS,
    DeploymentHolds,
    KnownHold,
    KnownLot,
    Settings,
    User,
)
from services.ledger.memory import remember
from services.ledger.periods.handlers import PeriodCommand, handle_period, needs_of_period
from services.ledger.sealing.verifying import (
    AnswerVerification,
    answer_verification,
    needs_of_answer,
    note_verification,
)
from services.ledger.spending import Spending, Spent
from services.ledger.subscribers import referral_lot, signup_lot

WalletRequest = (
    gateway.AwardRequested
    | gateway.AdjustmentRequested
    | gateway.PurchaseRequested
    | gateway.SettlementRefundRequested
)
PurchaseCommand = RecordPurchase | RefundPurchase | OpenDispute | CloseDispute

ACQUAINTANCE: Final = timedelta(seconds=3)
"""How long a request waits, by being tried again, for the message that makes its user known."""


class UnknownUserError(Exception):
    """The message that a user registered has not come yet; to be tried again."""


@dataclass(frozen=True, kw_only=True)
class ExpireWallet(Command):
    """End what is due in a wallet."""

    user_id: str


@dataclass(frozen=True, kw_only=True)
class ChangePurchase(Command):
    """Book, refund or dispute a purchase, as Stripe says: `processor.execute(ChangePurchase(…))`.

    To refund one, and to open or close a dispute, use `spenders.change`: it reads from the facts
    who spent the purchase's credits, and again where the wallet has moved meanwhile. Raises the
    `Refusal` of the rule that forbids it; of a wallet nobody has, `UNKNOWN_USER`.
    """

    change: PurchaseCommand


class LedgerHandlers:
    """Turns messages into commands for wallets."""

    def needs(self, message: Message) -> Needs:
        """Return the wallets to lock and what the decision rests on."""
        if not isinstance(message, Envelope):
            return _needs_of_command(message)
        match message.data:
            case deployer.HoldRequested() as event:
                return Needs(
                    streams=(wallet_stream(event.user_id),),
                    documents=(
                        SETTINGS,
                        (USERS, event.user_id),
                        (DEPLOYMENTS, event.deployment_id),
                    ),
                )
            case deployer.DeploymentEvent() as event if _may_end_a_hold(event):
                return Needs(
                    streams=(wallet_stream(event.user_id),),
                    documents=((DEPLOYMENTS, event.deployment_id),),
                )
            case gateway.AwardRequested() | gateway.AdjustmentRequested() as request:
                return _needs_of_request(request.user_id)
            case gateway.PurchaseRequested() as request:
                return _needs_of_request(request.user_id, (LOTS, request.request_id))
            case gateway.SettlementRefundRequested() as request:
                return _needs_of_request(request.user_id, (DEPLOYMENTS, request.deployment_id))
            case gateway.UserRegistered() as event:
                wallets = {event.user_id, event.referred_by or event.user_id}
                lots = (signup_lot(event.user_id), referral_lot(event.user_id))
                return Needs(
                    streams=tuple(wallet_stream(user_id) for user_id in sorted(wallets)),
                    documents=(SETTINGS, *((LOTS, lot_id) for lot_id in lots)),
                )
            case _:
                return Needs()

    def handle(self, message: Message, work: Work) -> None:
        """Carry the message out."""
        if isinstance(message, ExpireWallet):
            _decide(ExpireDueLots(), message.user_id, work)
        elif isinstance(message, PeriodCommand):
            handle_period(message, work)
        elif isinstance(message, ChangePurchase):
            _change_purchase(message.change, work)
        elif isinstance(message, AnswerVerification):
            answer_verification(message, work)
        elif isinstance(message, Envelope):
            _handle_event(message.data, work)


def wallet_stream(user_id: str) -> str:
    """Return the name of a user's stream."""
    return f"wallet-{user_id}"


def _needs_of_command(command: Command) -> Needs:
    if isinstance(command, ExpireWallet):
        return Needs(streams=(wallet_stream(command.user_id),))
    if isinstance(command, PeriodCommand):
        return needs_of_period(command)
    if isinstance(command, ChangePurchase):
        return _needs_of_change(command.change)
    if isinstance(command, AnswerVerification):
        return needs_of_answer(command)
    raise TypeError(f"the ledger knows no {type(command).__name__}")


def _needs_of_request(user_id: str, *documents: DocumentKey) -> Needs:
    return Needs(
        streams=(wallet_stream(user_id),), documents=(SETTINGS, (USERS, user_id), *documents)
    )


def _needs_of_change(change: PurchaseCommand) -> Needs:
    """Return, of a refund or a lost dispute, all that is known of the settlements it may touch."""
    match change:
        case RecordPurchase():
            return _needs_of_request(change.user_id, (LOTS, change.lot_id))
        case RefundPurchase(spending=Spending(spent=spent)):
            pass
        case CloseDispute(outcome="LOST", spending=Spending(spent=spent)):
            pass
        case _:
            spent = ()
    deployments = sorted({each.deployment_id for each in spent})
    return _needs_of_request(change.user_id, *((DEPLOYMENTS, each) for each in deployments))


def _handle_event(event: Any, work: Work) -> None:
    """Do what a message asks for; all that the followed streams say besides changes nothing."""
    match event:
        case deployer.HoldRequested():
            _place_hold(event, work)
        case deployer.DeploymentEvent():
            _end_hold(event, work)
        case (
            gateway.AwardRequested()
            | gateway.AdjustmentRequested()
            | gateway.PurchaseRequested()
            | gateway.SettlementRefundRequested()
        ):
            _answer(event, work)
        case gateway.UserRegistered():
            _register(event, work)
        case gateway.UserReferrerChanged():
            work.put(USERS, event.user_id, User(referred_by=event.referred_by))
        case gateway.LedgerVerificationRequested():
            note_verification(event, work)
        case gateway.SettingsChanged():
            work.put(*SETTINGS, subscribers.settings(event))
        case _:
            pass


def _place_hold(event: deployer.HoldRequested, work: Work) -> None:
    user = work.document(USERS, event.user_id, User)
    if user is None and work.now < event.expires_at:
        raise UnknownUserError(event.user_id)
    holds = _holds(event.deployment_id, work)
    referred_by = None if user is None else user.referred_by
    command = subscribers.hold(event, _settings(work), referred_by, holds)
    _decide(command, event.user_id, work)


def _end_hold(event: deployer.DeploymentEvent, work: Work) -> None:
    if not _may_end_a_hold(event):
        return
    holds = _holds(event.deployment_id, work)
    command = subscribers.end_of_hold(event, holds)
    if command is not None:
        _decide(command, event.user_id, work)


def _may_end_a_hold(event: deployer.DeploymentEvent) -> bool:
    return (
        isinstance(event, deployer.DeploymentRefused) or getattr(event, "hold_id", None) is not None
    )


def _answer(request: WalletRequest, work: Work) -> None:
    """Carry a person's request out, or tell them which rule forbids it."""
    if work.document(USERS, request.user_id, User) is None and not _is_late(request, work):
        raise UnknownUserError(request.user_id)
    try:
        _refuse_unanswerable(request, work)
        if isinstance(request, gateway.SettlementRefundRequested):
            _refund_settlement(request, work)
        else:
            command = _command_of(request, work)
            _decide(command, request.user_id, work, actor=request.requested_by)
    except Refusal as refusal:
        work.refuse(refusal.code, refusal.detail, errors=(), **refusal.fields)


def _is_late(request: WalletRequest, work: Work) -> bool:
    return work.now >= min(request.expires_at, request.requested_at + ACQUAINTANCE)


def _refuse_unanswerable(request: WalletRequest, work: Work) -> None:
    if work.now >= request.expires_at:
        raise Refusal("REQUEST_EXPIRED", "the request came too late to be carried out")
    if work.document(USERS, request.user_id, User) is None:
        raise Refusal("UNKNOWN_USER", "nobody with this id has registered")


def _refund_settlement(request: gateway.SettlementRefundRequested, work: Work) -> None:
    holds = _holds(request.deployment_id, work)
    command = subscribers.settlement_refund(request, holds)
    _decide(command, request.user_id, work, actor=request.requested_by)


def _change_purchase(change: PurchaseCommand, work: Work) -> None:
    if work.document(USERS, change.user_id, User) is None:
        raise Refusal("UNKNOWN_USER", "nobody with this id has registered")
    match change:
        case RecordPurchase():
            change = _with_what_is_known(change, work)
        case RefundPurchase(spending=Spending(spent=spent)):
            change = replace(change, settled=_settled(spent, work))
        case CloseDispute(outcome="LOST", spending=Spending(spent=spent)):
            change = replace(change, settled=_settled(spent, work))
        case _:
            pass
    _decide(change, change.user_id, work)


def _with_what_is_known(purchase: RecordPurchase, work: Work) -> RecordPurchase:
    booked = _booked(purchase.lot_id, work)
    return replace(purchase, platform_currency=_settings(work).currency, booked=booked)


def _booked(lot_id: str, work: Work) -> bool:
    return work.document(LOTS, lot_id, KnownLot) is not None


def _settled(spent: Iterable[Spent], work: Work) -> dict[str, KnownHold]:
    """Return what is known of the settlements that spent something, by their hold."""
    settled = {}
    for each in spent:
        known = _holds(each.deployment_id, work).known(each.hold_id)
        if known is not None:
            settled[each.hold_id] = known
    return settled


def _command_of(
    request: gateway.AwardRequested | gateway.PurchaseRequested | gateway.AdjustmentRequested,
    work: Work,
) -> WalletCommand:
    match request:
        case gateway.AwardRequested():
            at = work.at(wallet_stream(request.user_id))
            return subscribers.award(request, _settings(work), at)
        case gateway.PurchaseRequested():
            purchase = subscribers.purchase(request)
            return _with_what_is_known(purchase, work)
        case gateway.AdjustmentRequested():
            return subscribers.adjustment(request)


def _register(event: gateway.UserRegistered, work: Work) -> None:
    """Keep who referred a new user, and award what the settings promise to both."""
    work.put(USERS, event.user_id, User(referred_by=event.referred_by))
    settings = _settings(work)
    if settings.signup_award and not _booked(signup_lot(event.user_id), work):
        at = work.at(wallet_stream(event.user_id))
        _decide(subscribers.signup_award(event.user_id, settings, at), event.user_id, work)
    referrer = event.referred_by
    if settings.referral_award and referrer is not None and referrer != event.user_id:
        if _booked(referral_lot(event.user_id), work):
            return
        at = work.at(wallet_stream(referrer))
        award = subscribers.referral_award(referrer, event.user_id, settings, at)
        _decide(award, referrer, work)


def _decide(command: WalletCommand, user_id: str, work: Work, *, actor: str | None = None) -> None:
    """Append what a command brings to a wallet, and keep what the wallet will not know for good."""
    stream = wallet_stream(user_id)
    wallet = work.state(stream)
    facts = decide(command, wallet, work.at(stream))
    if not facts:
        return
    work.append(stream, facts, actor=actor)
    for fact in facts:
        remember(fact, user_id, wallet, work)


def _settings(work: Work) -> Settings:
    return work.document(*SETTINGS, Settings) or Settings()


def _holds(deployment_id: str, work: Work) -> DeploymentHolds:
    return work.document(DEPLOYMENTS, deployment_id, DeploymentHolds) or DeploymentHolds()
