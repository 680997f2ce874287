"""Pages that look by themselves how something stands that is told to nobody live."""

from typing import Final

from services.gateway.web.visit import Visit

LOOKS_MAX: Final = 60
"""How often a page looks by itself; that is for about fifteen minutes."""

_OFTEN: Final = (15, 2)
_AT_TIMES: Final = (30, 5)
_SELDOM_SECONDS: Final = 25


def looks(visit: Visit) -> int:
    """Return how often a page has looked already; an odd number of somebody's own is none."""
    text = visit.query.get("look", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len("999") else 0


def again_in(look: int) -> int | None:
    """Return after how many seconds to look again: ever more seldom, and then not at all."""
    if look >= LOOKS_MAX:
        return None
    for times, seconds in (_OFTEN, _AT_TIMES):
        if look < times:
            return seconds
    return _SELDOM_SECONDS
