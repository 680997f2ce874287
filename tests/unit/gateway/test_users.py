"""Given a user, when a command comes, then these facts; or a refusal that names the rule."""

import pytest

from runtime.refusal import Refusal
from services.gateway.decider.users import (
    ChangeUser,
    Register,
    decide_admins,
    decide_user,
    evolve_admins,
    evolve_user,
)
from services.gateway.events import (
    AdminAdded,
    AdminRemoved,
    Admins,
    User,
    UserDeactivated,
    UserFact,
    UserReactivated,
    UserReferrerChanged,
    UserRegistered,
    UserRolesChanged,
)

NOBODY = User()
ADA = User(revision=1, roles=("user",), active=True)
AN_ADMIN = User(revision=1, roles=("user", "admin"), active=True)
AN_AGENT = User(revision=1, roles=("user", "agent"), active=True)
OTHERS = Admins(("ada", "bob"))
ALONE = Admins(("ada",))

CHANGES: list[tuple[str, User, ChangeUser, Admins, User | None, list[UserFact]]] = [
    (
        "roles are kept in one order, each once, and everybody is a user",
        ADA,
        ChangeUser(roles=("partner", "agent", "partner")),
        OTHERS,
        None,
        [UserRolesChanged(roles=("user", "partner", "agent"))],
    ),
    ("the roles one has are no change", ADA, ChangeUser(roles=("user",)), OTHERS, None, []),
    ("nothing given is no change", ADA, ChangeUser(), OTHERS, None, []),
    ("a user is deactivated", ADA, ChangeUser(active=False), OTHERS, None, [UserDeactivated()]),
    (
        "a user is reactivated",
        User(revision=2, roles=("user",), active=False),
        ChangeUser(active=True),
        OTHERS,
        None,
        [UserReactivated()],
    ),
    (
        "an active agent may be a referrer",
        ADA,
        ChangeUser(referred_by="eve"),
        OTHERS,
        AN_AGENT,
        [UserReferrerChanged(referred_by="eve")],
    ),
    (
        "a referrer may be taken away",
        User(revision=1, roles=("user",), active=True, referred_by="eve"),
        ChangeUser(referred_by=None),
        OTHERS,
        None,
        [UserReferrerChanged(referred_by=None)],
    ),
    (
        "an admin who is not the last may stop being one",
        AN_ADMIN,
        ChangeUser(roles=()),
        OTHERS,
        None,
        [UserRolesChanged(roles=("user",))],
    ),
    (
        "the last admin may become more",
        AN_ADMIN,
        ChangeUser(roles=("admin", "finance")),
        ALONE,
        None,
        [UserRolesChanged(roles=("user", "finance", "admin"))],
    ),
]


@pytest.mark.parametrize(
    ("claim", "user", "command", "admins", "referrer", "facts"),
    CHANGES,
    ids=[c[0] for c in CHANGES],
)
def test_a_user_is_changed(
    *,
    claim: str,
    user: User,
    command: ChangeUser,
    admins: Admins,
    referrer: User | None,
    facts: list[UserFact],
) -> None:
    found = decide_user(command, user, user_id="ada", admins=admins, referrer=referrer)

    assert found == facts, claim


REFUSALS: list[tuple[str, User, ChangeUser, Admins, User | None, str]] = [
    ("somebody who never registered", NOBODY, ChangeUser(active=False), OTHERS, None, "NOT_FOUND"),
    (
        "a revision that has passed",
        User(revision=3, roles=("user",), active=True),
        ChangeUser(active=False, expected_revision=2),
        OTHERS,
        None,
        "PRECONDITION_FAILED",
    ),
    ("oneself as referrer", ADA, ChangeUser(referred_by="ada"), OTHERS, ADA, "INVALID_REFERRER"),
    (
        "a referrer who is no agent",
        ADA,
        ChangeUser(referred_by="eve"),
        OTHERS,
        ADA,
        "INVALID_REFERRER",
    ),
    (
        "a referrer who is nobody",
        ADA,
        ChangeUser(referred_by="eve"),
        OTHERS,
        None,
        "INVALID_REFERRER",
    ),
    (
        "a referrer who is deactivated",
        ADA,
        ChangeUser(referred_by="eve"),
        OTHERS,
        User(revision=2, roles=("user", "agent"), active=False),
        "INVALID_REFERRER",
    ),
    ("the last admin's role", AN_ADMIN, ChangeUser(roles=("finance",)), ALONE, None, "LAST_ADMIN"),
    ("the last admin", AN_ADMIN, ChangeUser(active=False), ALONE, None, "LAST_ADMIN"),
    (
        "a stale revision wins over the last admin",
        AN_ADMIN,
        ChangeUser(active=False, expected_revision=7),
        ALONE,
        None,
        "PRECONDITION_FAILED",
    ),
]


@pytest.mark.parametrize(
    ("claim", "user", "command", "admins", "referrer", "code"),
    REFUSALS,
    ids=[r[0] for r in REFUSALS],
)
def test_a_change_is_refused(
    *,
    claim: str,
    user: User,
    command: ChangeUser,
    admins: Admins,
    referrer: User | None,
    code: str,
) -> None:
    with pytest.raises(Refusal) as refused:
        decide_user(command, user, user_id="ada", admins=admins, referrer=referrer)

    assert refused.value.code == code, claim


def test_somebody_registers_once_however_often_it_is_asked() -> None:
    command = Register(roles=("user",), referred_by=None)

    facts = decide_user(command, NOBODY, user_id="ada", admins=OTHERS, referrer=None)
    again = decide_user(
        command, evolve_user(NOBODY, facts[0]), user_id="ada", admins=OTHERS, referrer=None
    )

    assert facts == [UserRegistered(roles=("user",), referred_by=None)]
    assert again == []


def test_the_active_admins_follow_what_users_become() -> None:
    admins = Admins()
    for user_id, user in (("ada", AN_ADMIN), ("bob", AN_ADMIN), ("eve", ADA)):
        for fact in decide_admins(user_id, user, admins):
            admins = evolve_admins(admins, fact)
    assert admins.user_ids == ("ada", "bob")

    assert decide_admins("ada", ADA, admins) == [AdminRemoved(user_id="ada")]
    assert decide_admins("ada", AN_ADMIN, admins) == []
    assert decide_admins("eve", AN_ADMIN, admins) == [AdminAdded(user_id="eve")]


def test_each_fact_is_a_revision() -> None:
    user = NOBODY
    facts: list[UserFact] = [
        UserRegistered(roles=("user",), referred_by=None),
        UserRolesChanged(roles=("user", "agent")),
        UserReferrerChanged(referred_by="eve"),
        UserDeactivated(),
        UserReactivated(),
    ]
    for fact in facts:
        user = evolve_user(user, fact)

    assert user == User(revision=5, roles=("user", "agent"), active=True, referred_by="eve")
