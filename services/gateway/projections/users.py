"""Users: roles, whether they are active, who referred them."""

from collections.abc import Iterator

from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.events import (
    UserDeactivated,
    UserReactivated,
    UserReferrerChanged,
    UserRegistered,
    UserRolesChanged,
)
from services.gateway.projections.statements import SqlProjection, Statement, id_in

_REGISTER = """
    insert into users (user_id, roles, active, referred_by, registered_at, revision)
    values ($1, $2, true, $3, $4, $5)
    on conflict (user_id) do nothing"""
_ROLES = "update users set roles = $3, revision = $2 where user_id = $1 and revision < $2"
_REFERRER = "update users set referred_by = $3, revision = $2 where user_id = $1 and revision < $2"
_ACTIVE = "update users set active = $3, revision = $2 where user_id = $1 and revision < $2"
_END_SESSIONS = "delete from sessions where user_id = $1"


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Recorded):
        return
    user_id, revision = id_in(change.stream), change.version
    match change.fact:
        case UserRegistered(roles=roles, referred_by=referred_by):
            yield _REGISTER, (user_id, list(roles), referred_by, change.at, revision)
        case UserRolesChanged(roles=roles):
            yield _ROLES, (user_id, revision, list(roles))
        case UserReferrerChanged(referred_by=referred_by):
            yield _REFERRER, (user_id, revision, referred_by)
        case UserDeactivated():
            yield _ACTIVE, (user_id, revision, False)
            yield _END_SESSIONS, (user_id,)
        case UserReactivated():
            yield _ACTIVE, (user_id, revision, True)
        case _:
            return


USERS = SqlProjection("users", _statements, tables=("users",))
