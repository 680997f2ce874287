"""Where revenue is put together; nothing happens at import."""

from typing import Final

from contracts.envelope import Envelope
from contracts.ledger.v1 import WalletEvent
from contracts.revenue.v1 import RequestRefused
from runtime.process import Service
from runtime.restored import Restoring
from runtime.segments.schedule import seal_by_schedule
from runtime.work import Message
from services.revenue.closing import close_on_request
from services.revenue.handlers import EarningHandlers, RevenueHandlers
from services.revenue.metrics import DUE_WEBHOOKS
from services.revenue.projections.disputes import Disputes
from services.revenue.projections.months import Months
from services.revenue.projections.payee_lines import PayeeLines
from services.revenue.projections.revenue_lines import RevenueLines
from services.revenue.publishing import DISPUTE, MONTH, PAYEE, REVENUE, STATEMENT
from services.revenue.settings import RevenueSettings
from services.revenue.webhooks.handlers import WebhookHandlers
from services.revenue.webhooks.publishing import WEBHOOK
from services.revenue.webhooks.queue import WebhookQueue
from services.revenue.webhooks.retention import forget_by_schedule
from services.revenue.webhooks.sender import send_webhooks

KINDS: Final = (REVENUE, PAYEE, DISPUTE, MONTH, STATEMENT, WEBHOOK)
PROJECTIONS: Final = (RevenueLines(), PayeeLines(), Disputes(), Months(), WebhookQueue())
RESTORING: Final = Restoring(again=EarningHandlers())


def build(settings: RevenueSettings) -> Service:
    """Return the service, composed."""
    return Service(
        name="revenue",
        kinds=KINDS,
        handlers=RevenueHandlers(WebhookHandlers(settings)),
        projections=PROJECTIONS,
        refused=RequestRefused,
        tasks=(
            close_on_request,
            send_webhooks,
            forget_by_schedule,
            seal_by_schedule("revenue", settings),
        ),
        measures=(DUE_WEBHOOKS,),
        unhurried=unhurried,
    )


def unhurried(message: Message) -> bool:
    """Whether nobody waits: what was spent is valued when it is."""
    return isinstance(message, Envelope) and isinstance(message.data, WalletEvent)
