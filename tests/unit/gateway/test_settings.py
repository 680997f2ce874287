"""Given settings, when a command comes, then these settings; or a refusal that names the field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.refusal import Refusal
from services.gateway.decider.settings import (
    ChangeSettings,
    EstablishSettings,
    decide_settings,
    evolve_settings,
    shares_in_force,
)
from services.gateway.events import (
    SecretChanged,
    Settings,
    SettingsChanged,
    SettingsState,
    Shares,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=30)


def shares(at: datetime, partner: int, agent: int) -> Shares:
    return Shares(effective_from=at, partner_basis_points=partner, agent_basis_points=agent)


SET = SettingsState(version=4, settings=Settings(shares=(shares(NOON, 3000, 1000),)))


def changed(
    command: ChangeSettings,
    state: SettingsState = SET,
    at: datetime = NOON,
    *,
    priced: bool = False,
) -> Settings:
    for fact in decide_settings(command, state, at, priced=priced):
        if isinstance(fact, SettingsChanged):
            state = evolve_settings(state, fact)
    return state.settings


def test_settings_are_established_once_with_their_defaults() -> None:
    facts = decide_settings(EstablishSettings(), SettingsState(), NOON, priced=False)

    assert facts == [SettingsChanged(version=1, settings=Settings())]
    assert decide_settings(EstablishSettings(), SET, NOON, priced=False) == []


def test_a_change_is_the_whole_of_the_settings_in_the_next_version() -> None:
    facts = decide_settings(ChangeSettings(signup_award=30), SET, NOON, priced=False)

    [fact] = facts
    assert isinstance(fact, SettingsChanged)
    assert (fact.version, fact.settings.signup_award) == (5, 30)
    assert fact.settings.shares == SET.settings.shares


def test_what_is_the_same_is_no_change() -> None:
    command = ChangeSettings(currency="USD", partner_basis_points=3000, self_registration=True)

    assert decide_settings(command, SET, NOON, priced=True) == []


def test_a_secret_is_told_of_and_not_told() -> None:
    command = ChangeSettings(secrets=(("platform_repository_token", True),))

    facts = decide_settings(command, SET, NOON, priced=False)

    assert facts == [SecretChanged(secret="platform_repository_token", configured=True)]


def test_shares_take_force_at_once_or_when_it_is_said() -> None:
    at_once = changed(ChangeSettings(partner_basis_points=4000), at=LATER)
    planned = changed(ChangeSettings(partner_basis_points=4000, effective_from=LATER))

    assert at_once.shares == (shares(NOON, 3000, 1000), shares(LATER, 4000, 1000))
    assert planned.shares == at_once.shares
    assert (
        shares_in_force(planned.shares, LATER - timedelta(seconds=1)).partner_basis_points == 3000
    )
    assert shares_in_force(planned.shares, LATER).partner_basis_points == 4000


def test_shares_that_were_planned_for_an_instant_are_replaced_by_new_ones_for_it() -> None:
    planned = SettingsState(
        version=1, settings=Settings(shares=(shares(NOON, 3000, 0), shares(LATER, 4000, 0)))
    )

    after = changed(ChangeSettings(agent_basis_points=500, effective_from=LATER), planned)

    assert after.shares == (shares(NOON, 3000, 0), shares(LATER, 4000, 500))


def test_now_may_take_a_moment_to_arrive() -> None:
    command = ChangeSettings(agent_basis_points=500, effective_from=NOON - timedelta(seconds=30))

    assert changed(command).shares == (shares(NOON, 3000, 500),)


def test_before_any_shares_nobody_earns() -> None:
    assert shares_in_force((), NOON) == shares(NOON, 0, 0)


REFUSALS: list[tuple[str, dict[str, Any], bool, str, str | None]] = [
    (
        "shares of more than the whole",
        {"partner_basis_points": 9001},
        False,
        "INVALID_SETTINGS",
        "/partner_revenue_share",
    ),
    (
        "both shares of more than the whole",
        {"partner_basis_points": 6000, "agent_basis_points": 4001},
        False,
        "INVALID_SETTINGS",
        "/agent_revenue_share",
    ),
    (
        "shares that begin in the past",
        {"agent_basis_points": 1, "effective_from": NOON - timedelta(hours=1)},
        False,
        "INVALID_SETTINGS",
        "/effective_from",
    ),
    (
        "an instant without shares",
        {"effective_from": LATER},
        False,
        "INVALID_SETTINGS",
        "/effective_from",
    ),
    (
        "another currency once one was sold for",
        {"currency": "EUR"},
        True,
        "CURRENCY_FIXED",
        "/currency",
    ),
    (
        "bundles in another currency",
        {"credit_bundles": (), "bundles_currency": "EUR"},
        False,
        "INVALID_SETTINGS",
        "/credit_bundles",
    ),
    ("a version that has passed", {"expected_version": 3}, False, "PRECONDITION_FAILED", None),
]


@pytest.mark.parametrize(
    ("claim", "values", "priced", "code", "pointer"), REFUSALS, ids=[r[0] for r in REFUSALS]
)
def test_settings_are_refused(
    claim: str, values: dict[str, Any], priced: bool, code: str, pointer: str | None
) -> None:
    with pytest.raises(Refusal) as refused:
        decide_settings(ChangeSettings(**values), SET, NOON, priced=priced)

    assert (refused.value.code, refused.value.fields.get("pointer")) == (code, pointer), claim


def test_the_currency_may_change_while_nothing_was_sold_for_it() -> None:
    assert changed(ChangeSettings(currency="EUR", bundles_currency="EUR")).currency == "EUR"


def test_shares_cannot_be_set_without_end() -> None:
    history = tuple(shares(NOON + timedelta(days=n), n % 2, 0) for n in range(500))
    full = SettingsState(version=1, settings=Settings(shares=history))

    with pytest.raises(Refusal, match="500 times"):
        decide_settings(
            ChangeSettings(agent_basis_points=7), full, NOON + timedelta(days=900), priced=False
        )
