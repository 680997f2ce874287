"""Oneself."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr
from starlette.requests import Request
from starlette.responses import Response

from contracts.types import Role
from runtime.connection import Connection
from services.gateway.account_rows import (
    Account,
    account_of,
    change_profile,
    lock_account,
    repository_of,
)
from services.gateway.account_rows import Repository as RepositoryRow
from services.gateway.acts import note
from services.gateway.decider.users import ChangeUser
from services.gateway.gateway import Gateway
from services.gateway.handlers import UpdateUser
from services.gateway.http.access import signed_in
from services.gateway.http.parameters import Asker, TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import check_if_match, resource
from services.gateway.http.session import without_cookie
from services.gateway.http.shapes import Input, Output, left_out
from services.gateway.identity import check_name
from services.gateway.repositories import TOKEN_LENGTH_MAX, check_repository

router = resource("Users")


class Repository(Output):
    """Where somebody's modules are; whether there are secrets for it, never the secrets."""

    url: str | None
    branch: str | None
    token_configured: bool
    webhook_secret_configured: bool


class RepositoryChange(Input):
    """What shall be changed of a repository; secrets can be set and taken away, never read."""

    url: Annotated[str, Field(min_length=1, max_length=500)] | None = left_out()
    branch: Annotated[str, Field(min_length=1, max_length=200)] | None = left_out()
    token: Annotated[SecretStr, Field(min_length=1, max_length=TOKEN_LENGTH_MAX)] | None = (
        left_out()
    )
    webhook_secret: (
        Annotated[SecretStr, Field(min_length=1, max_length=TOKEN_LENGTH_MAX)] | None
    ) = left_out()


class Notifications(Output):
    """Of what the pages tell somebody who looks at another page; the live feed has all of it."""

    deployments: Annotated[bool, Field(description="A deployment of one's own has ended.")]
    credits: Annotated[bool, Field(description="Credits have come, or have gone.")]


class NotificationsChange(Input):
    """What shall be told, or no more."""

    deployments: bool = left_out()
    credits: bool = left_out()


class ProfileChange(Input):
    """What shall be changed of oneself."""

    name: str | None = left_out()
    repository: RepositoryChange = left_out()
    notifications: NotificationsChange = left_out()


class Me(Output):
    """Oneself; `referral_code` is there for agents."""

    id: str
    email: str
    name: str | None
    roles: list[Role]
    referred_by: str | None
    referral_code: str | None
    repository: Repository
    notifications: Notifications
    created_at: datetime


@router.get("/api/me")
@signed_in
async def me(gateway: TheGateway, asker: Asker) -> Me:
    """Read oneself."""
    async with gateway.connection() as connection:
        return _me(await _account(connection, asker.user_id))


@router.patch("/api/me")
@signed_in
async def change_me(body: ProfileChange, request: Request, gateway: TheGateway, asker: Asker) -> Me:
    """Change one's name, repository, and what one is told of."""
    given = body.model_fields_set
    async with gateway.connection() as connection, connection.transaction():
        await lock_account(connection, asker.user_id)
        account = await _account(connection, asker.user_id)
        check_if_match(request, _me(account))
        name = body.name if "name" in given else account.name
        check_name(name)
        repository = await repository_of(connection, asker.user_id)
        if "repository" in given:
            repository = _changed(gateway, repository, body.repository)
        told = Notifications(deployments=account.notify_deployments, credits=account.notify_credits)
        if "notifications" in given:
            told = told.model_copy(update=body.notifications.model_dump(exclude_unset=True))
        await change_profile(
            connection,
            asker.user_id,
            name=name,
            notify_deployments=told.deployments,
            notify_credits=told.credits,
            repository=repository,
        )
        await note(
            connection,
            "profile_changed",
            actor=asker.user_id,
            at=gateway.now,
            subject=asker.user_id,
            details={"fields": _fields(body)},
        )
        return _me(await _account(connection, asker.user_id))


@router.delete("/api/me", status_code=204)
@signed_in
async def leave(gateway: TheGateway, asker: Asker) -> Response:
    """Deactivate oneself; the ledger and deployments stay."""
    change = ChangeUser(active=False)
    await gateway.execute(UpdateUser(actor=asker.user_id, user_id=asker.user_id, change=change))
    return without_cookie(gateway)


def _changed(gateway: Gateway, before: RepositoryRow, body: RepositoryChange) -> RepositoryRow:
    """Return the repository with what is given in the place of what was; secrets encrypted."""
    given = body.model_fields_set
    changes: dict[str, str | None] = {
        name: getattr(body, name) for name in ("url", "branch") if name in given
    }
    for name in ("token", "webhook_secret"):
        if name in given:
            secret: SecretStr | None = getattr(body, name)
            changes[name] = (
                None if secret is None else gateway.vault.encrypt(secret.get_secret_value())
            )
    after = replace(before, **changes)
    check_repository(
        after.url,
        after.branch,
        allow_local=gateway.settings.allow_local_repositories,
        pointer="/repository",
    )
    return after


def _fields(body: ProfileChange) -> list[str]:
    """Return which fields change, not what stands in them: names may be erased, tokens secret."""
    found: list[str] = []
    for field in sorted(body.model_fields_set):
        value = getattr(body, field)
        if isinstance(value, Input):
            found += [f"{field}.{inner}" for inner in sorted(value.model_fields_set)]
        else:
            found.append(field)
    return found


async def _account(connection: Connection, user_id: str) -> Account:
    account = await account_of(connection, user_id)
    if account is None:
        raise ProblemError("NOT_FOUND")
    return account


def _me(account: Account) -> Me:
    return Me(
        id=account.user_id,
        email=account.email,
        name=account.name,
        roles=list(account.roles),
        referred_by=account.referred_by,
        referral_code=account.referral_code if "agent" in account.roles else None,
        repository=Repository(
            url=account.repository_url,
            branch=account.repository_branch,
            token_configured=account.token_configured,
            webhook_secret_configured=account.webhook_secret_configured,
        ),
        notifications=Notifications(
            deployments=account.notify_deployments, credits=account.notify_credits
        ),
        created_at=account.created_at,
    )
