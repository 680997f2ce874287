"""Which of Stripe's events a purchase depends on.

The gateway passes on those that a webhook tells, and the ledger's sweep looks for the same ones
where no webhook came. Of others Stripe need not tell, and nothing of them is kept.
"""

from typing import Final

STRIPE_EVENTS: Final = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
)
