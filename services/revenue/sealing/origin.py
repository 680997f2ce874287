"""Revenue as an origin of segments: all that money follows from, and not webhooks' endpoints."""

from typing import Final

from runtime.segments.origin import Origin
from services.revenue.publishing import DISPUTE, MONTH, PAYEE, REVENUE, STATEMENT

ORIGIN: Final = Origin(
    "revenue", kinds=tuple(kind.name for kind in (REVENUE, PAYEE, DISPUTE, MONTH, STATEMENT))
)
