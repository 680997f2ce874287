"""The platform's settings."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field, SecretStr
from starlette.requests import Request

from contracts.types import Amount as CreditAmount
from contracts.types import Currency, Instant, PositiveAmount
from services.gateway.decider.settings import ChangeSettings, shares_in_force
from services.gateway.events import CreditBundle, SecretName
from services.gateway.gateway import Gateway
from services.gateway.handlers import SetSettings
from services.gateway.http.access import only
from services.gateway.http.parameters import Asker, TheGateway
from services.gateway.http.percentages import Percentage, basis_points, percentage
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import check_if_match, resource
from services.gateway.http.shapes import Amount, Input, Output, Price, left_out
from services.gateway.queries.settings import CurrentSettings, current_settings
from services.gateway.repositories import TOKEN_LENGTH_MAX, check_repository

router = resource("Settings")

DAYS_MAX: Final = 36_500
Days = Annotated[int, Field(ge=1, le=DAYS_MAX)]
SyncInterval = Annotated[
    int, Field(ge=5, le=10_080, description="How often repositories are read; null for never.")
]
_FINANCE_SETS: Final = frozenset({"partner_revenue_share", "agent_revenue_share", "effective_from"})
_PLAIN: Final = (
    "credits_enabled",
    "credits_per_unit",
    "currency",
    "signup_award",
    "referral_award",
    "award_expiry_days",
    "retention_days",
    "project_costs_enabled",
    "self_registration",
    "sync_interval_minutes",
)
_SECRETS: Final[tuple[tuple[str, SecretName], ...]] = (
    ("token", "platform_repository_token"),
    ("webhook_secret", "platform_webhook_secret"),
)


class Bundle(Input):
    """An offer: so many credits, and so many free ones with them, for one price."""

    credits: PositiveAmount
    bonus: CreditAmount
    price: Price


class PlatformRepositoryChange(Input):
    """What shall be changed of the platform's repository; secrets are never read back."""

    url: Annotated[str, Field(max_length=500)] | None = left_out()
    branch: Annotated[str, Field(max_length=200)] | None = left_out()
    token: Annotated[SecretStr, Field(min_length=1, max_length=TOKEN_LENGTH_MAX)] | None = (
        left_out()
    )
    webhook_secret: (
        Annotated[SecretStr, Field(min_length=1, max_length=TOKEN_LENGTH_MAX)] | None
    ) = left_out()


class SettingsChange(Input):
    """What shall be changed; what is left out stays. `effective_from` is for the shares."""

    credits_enabled: bool = left_out()
    credits_per_unit: Annotated[int, Field(ge=1, le=1_000_000)] = left_out()
    credit_bundles: list[Bundle] = left_out(max_length=50)
    currency: Currency = left_out()
    signup_award: CreditAmount = left_out()
    referral_award: CreditAmount = left_out()
    award_expiry_days: Days | None = left_out()
    partner_revenue_share: Percentage = left_out()
    agent_revenue_share: Percentage = left_out()
    effective_from: Instant = left_out()
    retention_days: Days | None = left_out()
    project_costs_enabled: bool = left_out()
    self_registration: bool = left_out()
    sync_interval_minutes: SyncInterval | None = left_out()
    platform_repository: PlatformRepositoryChange = left_out()


class BundleOut(Output):
    """An offer."""

    credits: int
    bonus: int
    price: Amount


class PlatformRepository(Output):
    """Where the platform's modules are; whether there are secrets for it, never the secrets."""

    url: str | None
    branch: str | None
    token_configured: bool
    webhook_secret_configured: bool


class ScheduledShares(Output):
    """Shares that take force later."""

    effective_from: datetime
    partner_revenue_share: str
    agent_revenue_share: str


class SettingsOut(Output):
    """The settings; the shares are those in force now."""

    version: int
    credits_enabled: bool
    credits_per_unit: int
    credit_bundles: list[BundleOut]
    currency: str
    signup_award: int
    referral_award: int
    award_expiry_days: int | None
    partner_revenue_share: Annotated[str, Field(examples=["30.00"])]
    agent_revenue_share: Annotated[str, Field(examples=["10.00"])]
    scheduled_shares: list[ScheduledShares]
    retention_days: int | None
    project_costs_enabled: bool
    self_registration: bool
    sync_interval_minutes: int | None
    platform_repository: PlatformRepository
    changed_at: datetime | None


@router.get("/api/settings")
@only("admin", "finance")
async def settings(gateway: TheGateway) -> SettingsOut:
    """Read the settings."""
    return _shown(await _current(gateway), gateway.now)


@router.patch("/api/settings")
@only("admin", "finance")
async def change_settings(
    body: SettingsChange, request: Request, gateway: TheGateway, asker: Asker
) -> SettingsOut:
    """Change settings; finance may set the shares."""
    given = body.model_fields_set
    if not asker.has("admin") and not given <= _FINANCE_SETS:
        raise ProblemError("FORBIDDEN", "finance sets the shares only")
    current = await _current(gateway)
    is_conditional = check_if_match(request, _shown(current, gateway.now))
    expected = current.version if is_conditional else None
    secrets = _secrets(gateway, body)
    await gateway.execute(
        SetSettings(
            actor=asker.user_id,
            change=_change(gateway, body, expected, tuple(secrets)),
            secrets=secrets,
        )
    )
    return _shown(await _current(gateway), gateway.now)


def _change(
    gateway: Gateway,
    body: SettingsChange,
    expected_version: int | None,
    secrets: tuple[str, ...],
) -> ChangeSettings:
    given = body.model_fields_set
    changed: dict[str, Any] = {name: getattr(body, name) for name in _PLAIN if name in given}
    if "credit_bundles" in given:
        bundles = body.credit_bundles
        changed["credit_bundles"] = tuple(
            CreditBundle(
                credits=each.credits, bonus=each.bonus, price_minor=each.price.amount_minor
            )
            for each in bundles
        )
        currencies = {each.price.currency for each in bundles}
        if len(currencies) > 1:
            raise ProblemError("INVALID_SETTINGS", "the bundles' prices are of several currencies")
        changed["bundles_currency"] = next(iter(currencies), None)
    for name, target in (
        ("partner_revenue_share", "partner_basis_points"),
        ("agent_revenue_share", "agent_basis_points"),
    ):
        if name in given:
            changed[target] = basis_points(getattr(body, name))
    if "platform_repository" in given:
        repository = body.platform_repository
        for name in ("url", "branch"):
            if name in repository.model_fields_set:
                changed[f"repository_{name}"] = getattr(repository, name)
        check_repository(
            changed.get("repository_url"),
            changed.get("repository_branch"),
            allow_local=gateway.settings.allow_local_repositories,
            pointer="/platform_repository",
        )
    return ChangeSettings(
        **changed,
        effective_from=body.effective_from if "effective_from" in given else None,
        expected_version=expected_version,
        secrets=tuple((name, _is_set(body, name)) for name in secrets),  # type: ignore[misc]  # they are names of secrets
    )


def _secrets(gateway: Gateway, body: SettingsChange) -> dict[str, str | None]:
    """Return secret → encrypted, or None where it is taken away; only those that are given."""
    if "platform_repository" not in body.model_fields_set:
        return {}
    repository = body.platform_repository
    found: dict[str, str | None] = {}
    for field, name in _SECRETS:
        if field in repository.model_fields_set:
            secret: SecretStr | None = getattr(repository, field)
            found[name] = (
                None if secret is None else gateway.vault.encrypt(secret.get_secret_value())
            )
    return found


def _is_set(body: SettingsChange, secret: str) -> bool:
    field = next(field for field, name in _SECRETS if name == secret)
    return getattr(body.platform_repository, field) is not None


async def _current(gateway: Gateway) -> CurrentSettings:
    async with gateway.connection() as connection:
        return await current_settings(connection)


def _shown(current: CurrentSettings, now: datetime) -> SettingsOut:
    values = current.settings
    in_force = shares_in_force(values.shares, now)
    return SettingsOut(
        version=current.version,
        **{name: getattr(values, name) for name in _PLAIN},
        credit_bundles=[
            BundleOut(
                credits=each.credits,
                bonus=each.bonus,
                price=Amount(amount_minor=each.price_minor, currency=values.currency),
            )
            for each in values.credit_bundles
        ],
        partner_revenue_share=percentage(in_force.partner_basis_points),
        agent_revenue_share=percentage(in_force.agent_basis_points),
        scheduled_shares=[
            ScheduledShares(
                effective_from=each.effective_from,
                partner_revenue_share=percentage(each.partner_basis_points),
                agent_revenue_share=percentage(each.agent_basis_points),
            )
            for each in values.shares
            if each.effective_from > now
        ],
        platform_repository=PlatformRepository(
            url=values.repository_url,
            branch=values.repository_branch,
            token_configured="platform_repository_token" in current.secrets,
            webhook_secret_configured="platform_webhook_secret" in current.secrets,
        ),
        changed_at=current.changed_at,
    )
