"""Users and their roles.

Refusals, in the order in which they win: somebody who is not there, a stale revision, a referrer
who is none, the last admin.
"""

from dataclasses import dataclass
from typing import Final, assert_never

import msgspec
from msgspec import UNSET, UnsetType

from runtime.refusal import Refusal
from services.gateway.events import (
    AdminAdded,
    AdminRemoved,
    Admins,
    AdminsFact,
    Role,
    User,
    UserDeactivated,
    UserFact,
    UserReactivated,
    UserReferrerChanged,
    UserRegistered,
    UserRolesChanged,
)

ROLES: Final[tuple[Role, ...]] = ("user", "partner", "agent", "finance", "support", "admin")


class UnknownUserRefusal(Refusal):
    """There is no such user."""


class StaleRefusal(Refusal):
    """What should be changed has changed since it was read."""


class ReferrerRefusal(Refusal):
    """The referrer is no active agent, or the user themselves."""


class LastAdminRefusal(Refusal):
    """Without this admin there would be none."""


@dataclass(frozen=True, kw_only=True)
class Register:
    """Somebody becomes a user."""

    roles: tuple[Role, ...]
    referred_by: str | None


@dataclass(frozen=True, kw_only=True)
class ChangeUser:
    """A user becomes what is given here; what is not given stays.

    `expected_revision` is what whoever asks believes the user's revision to be.
    """

    roles: tuple[Role, ...] | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    referred_by: str | UnsetType | None = UNSET
    expected_revision: int | None = None


def decide_user(
    command: Register | ChangeUser,
    user: User,
    *,
    user_id: str,
    admins: Admins,
    referrer: User | None,
) -> list[UserFact]:
    """Return what happens to a user. `referrer` is the user whom the command names as such."""
    match command:
        case Register():
            if user.revision:
                return []
            _check_referrer(command.referred_by, user_id, referrer)
            return [
                UserRegistered(roles=normal_roles(command.roles), referred_by=command.referred_by)
            ]
        case ChangeUser():
            return _change(command, user, user_id=user_id, admins=admins, referrer=referrer)
        case _:
            assert_never(command)


def _change(
    command: ChangeUser, user: User, *, user_id: str, admins: Admins, referrer: User | None
) -> list[UserFact]:
    if not user.revision:
        raise UnknownUserRefusal("NOT_FOUND", "there is no such user")
    if command.expected_revision not in (None, user.revision):
        raise StaleRefusal("PRECONDITION_FAILED", "the user has changed since they were read")
    facts: list[UserFact] = []
    if command.referred_by is not UNSET and command.referred_by != user.referred_by:
        _check_referrer(command.referred_by, user_id, referrer)
        facts.append(UserReferrerChanged(referred_by=command.referred_by))
    if command.roles is not UNSET:
        roles = normal_roles(command.roles)
        if roles != user.roles:
            facts.append(UserRolesChanged(roles=roles))
    if command.active is not UNSET and command.active != user.active:
        facts.append(UserReactivated() if command.active else UserDeactivated())
    after = user
    for fact in facts:
        after = evolve_user(after, fact)
    if admins.user_ids == (user_id,) and not _is_admin(after):
        raise LastAdminRefusal("LAST_ADMIN", "without this admin there would be none")
    return facts


def _check_referrer(referred_by: str | None, user_id: str, referrer: User | None) -> None:
    if referred_by is None:
        return
    if referred_by == user_id:
        raise ReferrerRefusal(
            "INVALID_REFERRER", "nobody refers themselves", pointer="/referred_by"
        )
    if referrer is None or not referrer.active or "agent" not in referrer.roles:
        raise ReferrerRefusal(
            "INVALID_REFERRER", "the referrer must be an active agent", pointer="/referred_by"
        )


def decide_admins(user_id: str, user: User, admins: Admins) -> list[AdminsFact]:
    """Return how the set of active admins follows what a user has become."""
    listed = user_id in admins.user_ids
    if _is_admin(user) == listed:
        return []
    return [AdminRemoved(user_id=user_id) if listed else AdminAdded(user_id=user_id)]


def normal_roles(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    """Return the roles in their one order, each once; everybody is a user."""
    return tuple(role for role in ROLES if role == "user" or role in roles)


def _is_admin(user: User) -> bool:
    return user.active and "admin" in user.roles


def evolve_user(user: User, fact: UserFact) -> User:
    """Return the user after the fact."""
    revision = user.revision + 1
    match fact:
        case UserRegistered():
            return User(
                revision=revision, roles=fact.roles, active=True, referred_by=fact.referred_by
            )
        case UserRolesChanged(roles=roles):
            return msgspec.structs.replace(user, revision=revision, roles=roles)
        case UserReferrerChanged(referred_by=referred_by):
            return msgspec.structs.replace(user, revision=revision, referred_by=referred_by)
        case UserDeactivated():
            return msgspec.structs.replace(user, revision=revision, active=False)
        case UserReactivated():
            return msgspec.structs.replace(user, revision=revision, active=True)
        case _:
            assert_never(fact)


def evolve_admins(admins: Admins, fact: AdminsFact) -> Admins:
    """Return the active admins after the fact."""
    match fact:
        case AdminAdded(user_id=user_id):
            return Admins((*admins.user_ids, user_id))
        case AdminRemoved(user_id=user_id):
            return Admins(tuple(each for each in admins.user_ids if each != user_id))
        case _:
            assert_never(fact)
