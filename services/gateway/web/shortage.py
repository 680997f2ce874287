"""When somebody has few credits, and is told so before a deployment is refused."""

from dataclasses import dataclass
from typing import Any, Final

from services.gateway.web.visit import Visit

LOOKED_AT_MAX: Final = 100
"""Modules, the cheapest first: with as many free ones nobody is told of a shortage."""


@dataclass(frozen=True)
class Shortage:
    """The credits do not suffice for any module that costs some; the cheapest costs `cost`."""

    available: int
    cost: int
    title: str

    @property
    def missing(self) -> int:
        """How many credits the cheapest needs beyond what there is."""
        return self.cost - self.available


async def shortage(visit: Visit) -> Shortage | None:
    """Return whether less is available than the cheapest module costs that is not free."""
    if not visit.platform.credits_enabled or visit.balance is None:
        return None
    modules: dict[str, Any] = await visit.api.get("/api/modules", sort="cost", limit=LOOKED_AT_MAX)
    paid = (each for each in modules["items"] if each["your_cost"] > 0)
    cheapest = min(paid, key=lambda each: each["your_cost"], default=None)
    available = int(visit.balance["available"])
    if cheapest is None or available >= cheapest["your_cost"]:
        return None
    return Shortage(available, int(cheapest["your_cost"]), str(cheapest["title"]))
