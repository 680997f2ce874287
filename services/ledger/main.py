"""Where the ledger is put together; nothing happens at import."""

import asyncio
from dataclasses import dataclass
from typing import Final

from contracts.deployer.v1 import DeploymentEvent, HoldRequested
from contracts.envelope import Envelope
from contracts.ledger.v1 import RequestRefused
from runtime.process import Service
from runtime.projector import OfKind, Projection
from runtime.restored import Restoring
from runtime.segments.schedule import seal_by_schedule
from runtime.work import Message, Needs, Work
from services.ledger.checkouts.handlers import CheckoutHandlers
from services.ledger.checkouts.projection import Checkouts
from services.ledger.checkouts.publishing import CHECKOUT
from services.ledger.checkouts.worker import work_with_stripe
from services.ledger.expiry import expire_due_lots
from services.ledger.handlers import LedgerHandlers
from services.ledger.memory import Memory
from services.ledger.metrics import measures
from services.ledger.periods.attesting import attest_by_schedule
from services.ledger.periods.handlers import FLOOR
from services.ledger.periods.rules import PERIOD
from services.ledger.projections.balances import Balances
from services.ledger.projections.history import History
from services.ledger.projections.holds import Holds
from services.ledger.projections.lots import Lots
from services.ledger.publishing import WALLET
from services.ledger.sealing.verifying import verify_on_request
from services.ledger.settings import LedgerSettings

KINDS: Final = (WALLET, PERIOD, CHECKOUT)
PROJECTIONS: Final[tuple[Projection, ...]] = (
    *(OfKind("wallet", each) for each in (Balances(), Lots(), Holds(), History())),
    Checkouts(),
)
RESTORING: Final = Restoring(memory=Memory())


def build(settings: LedgerSettings) -> Service:
    """Return the service, composed."""
    stripe = asyncio.Event()
    checkouts = CheckoutHandlers(configured=settings.stripe_api_key is not None, wake=stripe.set)
    return Service(
        name="ledger",
        kinds=KINDS,
        handlers=_Handlers(LedgerHandlers(), checkouts),
        projections=PROJECTIONS,
        refused=RequestRefused,
        tasks=(
            expire_due_lots,
            seal_by_schedule("ledger", settings),
            attest_by_schedule(settings),
            verify_on_request,
            work_with_stripe(settings, stripe),
        ),
        floor=FLOOR,
        measures=measures(),
        unhurried=unhurried,
    )


def unhurried(message: Message) -> bool:
    """Whether nobody waits: of a deployment, for all but whether its credits can be held."""
    return (
        isinstance(message, Envelope)
        and isinstance(message.data, DeploymentEvent)
        and not isinstance(message.data, HoldRequested)
    )


@dataclass(frozen=True)
class _Handlers:
    """Gives each message to those whom it concerns: checkouts' to them, all others to wallets."""

    wallets: LedgerHandlers
    checkouts: CheckoutHandlers

    def needs(self, message: Message) -> Needs:
        """Return what must be locked and loaded."""
        return self._of(message).needs(message)

    def handle(self, message: Message, work: Work) -> None:
        """Do it."""
        self._of(message).handle(message, work)

    def _of(self, message: Message) -> LedgerHandlers | CheckoutHandlers:
        return self.checkouts if self.checkouts.takes(message) else self.wallets
