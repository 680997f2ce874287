"""Who may have webhooks: whoever is a partner or an agent, and may sign in.

Kept is only who was and is not any more, so that a request which was on its way meanwhile is
refused. Who never was one is refused by the gateway.
"""

from typing import Any, Final, Literal

import msgspec

from contracts.gateway import v1 as gateway
from runtime.work import DocumentKey, Work

COLLECTION: Final = "ended_payees"
PAYEES: Final = frozenset({"partner", "agent"})

ChangesStanding = gateway.UserRolesChanged | gateway.UserDeactivated | gateway.UserReactivated
Lost = Literal["role_lost", "deactivated"]


class Ended(msgspec.Struct, frozen=True):
    """Why somebody may not have webhooks; one of both is true."""

    without_role: bool = False
    deactivated: bool = False


def standing_key(user_id: str) -> DocumentKey:
    """Return where it is kept."""
    return (COLLECTION, user_id)


def has_ended(user_id: str, work: Work) -> bool:
    """Whether somebody who may have had webhooks may have none now."""
    return work.document(*standing_key(user_id), Ended) is not None


def note_standing(change: ChangesStanding, work: Work) -> Lost | None:
    """Keep what a change makes of somebody; return what they have lost by it, if anything."""
    key = standing_key(change.user_id)
    before = work.document(*key, Ended) or Ended()
    after, lost = _after(change, before)
    if after == Ended():
        work.delete(*key)
    else:
        work.put(*key, after)
    return lost


def _after(change: Any, before: Ended) -> tuple[Ended, Lost | None]:
    match change:
        case gateway.UserRolesChanged(roles=roles):
            without_role = PAYEES.isdisjoint(roles)
            after = msgspec.structs.replace(before, without_role=without_role)
            return after, "role_lost" if without_role else None
        case gateway.UserDeactivated():
            return msgspec.structs.replace(before, deactivated=True), "deactivated"
        case _:
            return msgspec.structs.replace(before, deactivated=False), None
