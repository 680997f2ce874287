"""What revenue does with a message: a line for the settlement, then one for each payee."""

from typing import TypeGuard

from contracts.envelope import Envelope
from contracts.ledger.v1 import HoldSettled
from runtime.work import Message, Needs, Work
from services.revenue import decider, subscribers


class RevenueHandlers:
    """Follows the ledger's wallets; of all that happens to one, only settlements earn."""

    def needs(self, message: Message) -> Needs:
        """Return the deployment's stream, and that of everybody who may be due a share."""
        if not _settles(message):
            return Needs()
        hold = subscribers.settled_hold(message.data.hold)
        payees = {payee_stream(payee.payee_id) for payee in decider.payees_of(hold)}
        return Needs(streams=(revenue_stream(hold.deployment_id), *sorted(payees)))

    def handle(self, message: Message, work: Work) -> None:
        """Recognise what was settled, and accrue the shares of it."""
        if not _settles(message):
            return
        command = subscribers.recognition(message)
        stream = revenue_stream(command.hold.deployment_id)
        for line in decider.decide_revenue(command, work.state(stream)):
            work.append(stream, [line])
            for share in decider.shares_of(line):
                payee = payee_stream(share.payee_id)
                work.append(payee, decider.decide_payee(share, work.state(payee)))


def revenue_stream(deployment_id: str) -> str:
    """Return the name of a deployment's stream."""
    return f"revenue-{deployment_id}"


def payee_stream(payee_id: str) -> str:
    """Return the name of a payee's stream."""
    return f"payee-{payee_id}"


def _settles(message: Message) -> TypeGuard[Envelope[HoldSettled]]:
    return isinstance(message, Envelope) and isinstance(message.data, HoldSettled)
