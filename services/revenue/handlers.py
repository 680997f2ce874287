"""What revenue does with a message: a line for what was earned, then one for each payee."""

from contracts.envelope import Envelope
from contracts.gateway.v1 import PeriodCloseRequested
from runtime.work import Message, Needs, Work
from services.revenue import closing, decider, months, shares, subscribers
from services.revenue.webhooks.handlers import WebhookHandlers


class RevenueHandlers:
    """What concerns months' ends and webhooks has handlers of its own; the rest is earned."""

    def __init__(self, webhooks: WebhookHandlers) -> None:
        self._webhooks = webhooks
        self._earnings = EarningHandlers()

    def needs(self, message: Message) -> Needs:
        """Return what the handlers that it concerns need."""
        if isinstance(message, closing.CloseMonth):
            return closing.needs_of_close(message)
        if self._webhooks.stream(message) is not None:
            return self._webhooks.needs(message)
        return self._earnings.needs(message)

    def handle(self, message: Message, work: Work) -> None:
        """Hand it to those that it concerns."""
        if isinstance(message, closing.CloseMonth):
            closing.close(message, work)
        self._webhooks.handle(message, work)
        if isinstance(message, Envelope) and isinstance(message.data, PeriodCloseRequested):
            closing.note(message.data, work)
        self._earnings.handle(message, work)


class EarningHandlers:
    """Follows the ledger's wallets; only what becomes of settlements and disputes matters.

    From a message and the streams alone it decides again what it decided once.
    """

    def needs(self, message: Message) -> Needs:
        """Return the deployment's stream, and that of everybody who may be due a share."""
        if not isinstance(message, Envelope):
            return Needs()
        if subscribers.attests(message):
            return Needs(streams=(closing.month_stream(message.data.period),))
        if subscribers.earns(message):
            hold = subscribers.settled_hold(message.data.hold)
            payees = {payee_stream(payee.payee_id) for payee in shares.payees_of(hold)}
            return Needs(streams=(revenue_stream(hold.deployment_id), *sorted(payees)))
        if subscribers.disputes(message):
            return Needs(streams=(dispute_stream(message.data.dispute_id),))
        return Needs()

    def handle(self, message: Message, work: Work) -> None:
        """Recognise or reverse what the ledger says, and accrue or take back the shares of it."""
        if not isinstance(message, Envelope):
            return
        if subscribers.attests(message):
            attested = subscribers.attested_month(message)
            stream = closing.month_stream(attested.period)
            work.append(stream, months.decide_attested(attested, work.state(stream)))
        if subscribers.earns(message):
            command = subscribers.revenue_command(message)
            stream = revenue_stream(command.hold.deployment_id)
            for line in decider.decide_revenue(command, work.state(stream)):
                work.append(stream, [line])
                for share in shares.shares_of(line):
                    payee = payee_stream(share.payee_id)
                    work.append(payee, shares.decide_payee(share, work.state(payee)))
        if subscribers.disputes(message):
            stream = dispute_stream(message.data.dispute_id)
            dispute = subscribers.dispute_command(message)
            work.append(stream, decider.decide_dispute(dispute, work.state(stream)))


def revenue_stream(deployment_id: str) -> str:
    """Return the name of a deployment's stream."""
    return f"revenue-{deployment_id}"


def payee_stream(payee_id: str) -> str:
    """Return the name of a payee's stream."""
    return f"payee-{payee_id}"


def dispute_stream(dispute_id: str) -> str:
    """Return the name of a dispute's stream."""
    return f"dispute-{dispute_id}"
