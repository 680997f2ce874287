"""The platform's settings.

Refusals, in the order in which they win: a stale version, a currency that is fixed, a bundle in
another currency, shares that begin in the past, shares of more than the whole, too long a history.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final, assert_never

import msgspec
from msgspec import UNSET, UnsetType

from runtime.refusal import Refusal
from services.gateway.events import (
    CreditBundle,
    SecretChanged,
    SecretName,
    SecretsFact,
    Settings,
    SettingsChanged,
    SettingsFact,
    SettingsState,
    Shares,
)

WHOLE_BASIS_POINTS: Final = 10_000
SHARES_MAX: Final = 500
LATE_MAX: Final = timedelta(minutes=1)
"""How far in the past "now" may be when it arrives."""


class SettingsRefusal(Refusal):
    """The settings cannot be so; `pointer` names the field."""


@dataclass(frozen=True)
class EstablishSettings:
    """The settings begin, with their defaults, unless they have begun."""


@dataclass(frozen=True, kw_only=True)
class ChangeSettings:
    """The settings become what is given here; what is not given stays.

    Shares take force at `effective_from`, or at once. `secrets` names those that are set (true)
    or taken away (false). `bundles_currency` is what the bundles' prices are in.
    """

    credits_enabled: bool | UnsetType = UNSET
    credits_per_unit: int | UnsetType = UNSET
    credit_bundles: tuple[CreditBundle, ...] | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    signup_award: int | UnsetType = UNSET
    referral_award: int | UnsetType = UNSET
    award_expiry_days: int | UnsetType | None = UNSET
    retention_days: int | UnsetType | None = UNSET
    project_costs_enabled: bool | UnsetType = UNSET
    self_registration: bool | UnsetType = UNSET
    sync_interval_minutes: int | UnsetType | None = UNSET
    repository_url: str | UnsetType | None = UNSET
    repository_branch: str | UnsetType | None = UNSET
    partner_basis_points: int | UnsetType = UNSET
    agent_basis_points: int | UnsetType = UNSET
    effective_from: datetime | None = None
    bundles_currency: str | None = None
    secrets: tuple[tuple[SecretName, bool], ...] = ()
    expected_version: int | None = None


SettingsCommand = EstablishSettings | ChangeSettings

_PLAIN: Final = frozenset(field.name for field in msgspec.structs.fields(Settings)) & frozenset(
    field.name for field in fields(ChangeSettings)
)


def decide_settings(
    command: SettingsCommand, state: SettingsState, at: datetime, *, priced: bool
) -> list[SettingsFact | SecretsFact]:
    """Return what happens to the settings. `priced`: a lot with a price exists."""
    match command:
        case EstablishSettings():
            if state.version:
                return []
            return [SettingsChanged(version=1, settings=state.settings)]
        case ChangeSettings():
            return _change(command, state, at, priced=priced)
        case _:
            assert_never(command)


def _change(
    command: ChangeSettings, state: SettingsState, at: datetime, *, priced: bool
) -> list[SettingsFact | SecretsFact]:
    if command.expected_version not in (None, state.version):
        raise SettingsRefusal(
            "PRECONDITION_FAILED", "the settings have changed since they were read"
        )
    before = state.settings
    changed = {
        name: value for name in _PLAIN if (value := getattr(command, name, UNSET)) is not UNSET
    }
    after = msgspec.structs.replace(before, **changed, shares=_shares(command, before, at))
    if priced and after.currency != before.currency:
        raise SettingsRefusal(
            "CURRENCY_FIXED", "credits have been sold in this currency", pointer="/currency"
        )
    if command.bundles_currency not in (None, after.currency):
        raise SettingsRefusal(
            "INVALID_SETTINGS",
            f"the platform's currency is {after.currency}",
            pointer="/credit_bundles",
        )
    facts: list[SettingsFact | SecretsFact] = []
    if after != before or state.version == 0:
        facts.append(SettingsChanged(version=state.version + 1, settings=after))
    facts += [SecretChanged(secret=name, configured=is_set) for name, is_set in command.secrets]
    return facts


def _shares(command: ChangeSettings, before: Settings, at: datetime) -> tuple[Shares, ...]:
    """Return the history of shares with the command's put in, by the instant they take force."""
    partner, agent = command.partner_basis_points, command.agent_basis_points
    if partner is UNSET and agent is UNSET:
        if command.effective_from is not None:
            raise SettingsRefusal(
                "INVALID_SETTINGS", "is for shares, and none is given", pointer="/effective_from"
            )
        return before.shares
    begins = command.effective_from or at
    if begins < at - LATE_MAX:
        raise SettingsRefusal(
            "INVALID_SETTINGS", "shares do not begin in the past", pointer="/effective_from"
        )
    begins = max(begins, at)
    present = shares_in_force(before.shares, begins)
    added = Shares(
        effective_from=begins,
        partner_basis_points=present.partner_basis_points if partner is UNSET else partner,
        agent_basis_points=present.agent_basis_points if agent is UNSET else agent,
    )
    if added.partner_basis_points + added.agent_basis_points > WHOLE_BASIS_POINTS:
        raise SettingsRefusal(
            "INVALID_SETTINGS",
            "the shares are more than 100 % together",
            pointer="/partner_revenue_share" if agent is UNSET else "/agent_revenue_share",
        )
    if _same(added, present):
        return before.shares
    others = [shares for shares in before.shares if shares.effective_from != begins]
    if len(others) >= SHARES_MAX:
        raise SettingsRefusal("INVALID_SETTINGS", f"the shares were set {SHARES_MAX} times")
    return tuple(sorted([*others, added], key=lambda shares: shares.effective_from))


def _same(one: Shares, other: Shares) -> bool:
    return (one.partner_basis_points, one.agent_basis_points) == (
        other.partner_basis_points,
        other.agent_basis_points,
    )


def shares_in_force(history: Sequence[Shares], at: datetime) -> Shares:
    """Return the shares in force at an instant: the latest that had begun by then, or none."""
    return next(
        (shares for shares in reversed(history) if shares.effective_from <= at),
        Shares(effective_from=at, partner_basis_points=0, agent_basis_points=0),
    )


def evolve_settings(_: SettingsState, fact: SettingsFact) -> SettingsState:
    """Return the settings after the fact."""
    return SettingsState(version=fact.version, settings=fact.settings)
