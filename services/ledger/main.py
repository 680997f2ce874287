"""Where the ledger is put together; nothing happens at import."""

from contracts.ledger.v1 import RequestRefused
from runtime.process import Service
from runtime.projector import OfKind
from services.ledger.expiry import expire_due_lots
from services.ledger.handlers import LedgerHandlers
from services.ledger.periods.attesting import attest_by_schedule
from services.ledger.periods.handlers import FLOOR
from services.ledger.periods.rules import PERIOD
from services.ledger.projections.balances import Balances
from services.ledger.projections.history import History
from services.ledger.projections.holds import Holds
from services.ledger.projections.lots import Lots
from services.ledger.publishing import WALLET
from services.ledger.sealing.schedule import seal_by_schedule
from services.ledger.sealing.verifying import verify_on_request
from services.ledger.settings import LedgerSettings


def build(settings: LedgerSettings) -> Service:
    """Return the service, composed."""
    return Service(
        name="ledger",
        kinds=(WALLET, PERIOD),
        handlers=LedgerHandlers(),
        projections=tuple(
            OfKind("wallet", each) for each in (Balances(), Lots(), Holds(), History())
        ),
        refused=RequestRefused,
        tasks=(
            expire_due_lots,
            seal_by_schedule(settings),
            attest_by_schedule(settings),
            verify_on_request,
        ),
        floor=FLOOR,
    )
