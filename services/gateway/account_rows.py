"""Accounts' rows: names, addresses and password hashes, which may change and be erased."""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from runtime.connection import Connection
from runtime.refusal import Refusal
from services.gateway.repositories import repository_key


class EmailTakenRefusal(Refusal):
    """Somebody has an account with this e-mail address."""


@dataclass(frozen=True, kw_only=True)
class NewAccount:
    """What an account begins with."""

    email: str
    name: str | None
    password_hash: str | None = field(repr=False)
    referral_code: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user with their account, as they are now."""

    user_id: str
    email: str
    name: str | None
    roles: tuple[str, ...]
    active: bool
    referred_by: str | None
    referral_code: str
    repository_url: str | None
    repository_branch: str | None
    token_configured: bool
    webhook_secret_configured: bool
    notify_deployments: bool
    notify_credits: bool
    created_at: datetime
    revision: int


@dataclass(frozen=True, kw_only=True)
class Repository:
    """Where modules are read: the platform's without a partner. Token and secret are encrypted."""

    partner_id: str | None = None
    url: str | None = None
    branch: str | None = None
    token: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)


_REPOSITORY = """
    select a.user_id, a.repository_url, a.repository_branch, a.repository_token,
           a.repository_webhook_secret"""
_ACCOUNT = """
    select a.user_id, a.email, a.name, u.roles, u.active, u.referred_by, a.referral_code,
           a.repository_url, a.repository_branch,
           a.repository_token is not null as token_configured,
           a.repository_webhook_secret is not null as webhook_secret_configured,
           a.notify_deployments, a.notify_credits,
           u.registered_at as created_at, u.revision
    from accounts a join users u using (user_id)"""


def email_key(email: str) -> str:
    """Return by what two spellings of one address are the same."""
    return unicodedata.normalize("NFKC", email).casefold()


async def insert_account(
    connection: Connection, user_id: str, account: NewAccount, at: datetime
) -> None:
    """Insert an account; `EmailTakenRefusal` where the address has one."""
    made = await connection.fetchval(
        """insert into accounts (user_id, email, email_key, name, password_hash, referral_code,
                                 created_at)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (email_key) do nothing returning user_id""",
        user_id,
        account.email,
        email_key(account.email),
        account.name,
        account.password_hash,
        account.referral_code,
        at,
    )
    if made is None:
        raise EmailTakenRefusal(
            "EMAIL_TAKEN", "this e-mail address has an account", pointer="/email"
        )


async def account_of(connection: Connection, user_id: str) -> Account | None:
    """Return a user with their account, or nothing."""
    row = await connection.fetchrow(f"{_ACCOUNT} where a.user_id = $1", user_id)
    return None if row is None else _account(row)


async def account_by_email(
    connection: Connection, email: str
) -> tuple[str, str | None, bool] | None:
    """Return (user id, password hash if there is a password, active) of an address, or nothing."""
    row = await connection.fetchrow(
        """select a.user_id, a.password_hash, u.active from accounts a join users u using (user_id)
           where a.email_key = $1""",
        email_key(email),
    )
    return None if row is None else (row["user_id"], row["password_hash"], row["active"])


async def agent_of_code(connection: Connection, referral_code: str) -> str | None:
    """Return the active agent whose referral code this is, or nothing."""
    user_id: str | None = await connection.fetchval(
        """select a.user_id from accounts a join users u using (user_id)
           where a.referral_code = $1 and u.active and 'agent' = any (u.roles)""",
        referral_code,
    )
    return user_id


async def change_password(connection: Connection, user_id: str, password_hash: str) -> None:
    """Replace a password's hash."""
    await connection.execute(
        "update accounts set password_hash = $2 where user_id = $1", user_id, password_hash
    )


async def lock_account(connection: Connection, user_id: str) -> None:
    """Have every other change of an account wait until the transaction ends."""
    await connection.execute("select 1 from accounts where user_id = $1 for update", user_id)


async def change_profile(
    connection: Connection,
    user_id: str,
    *,
    name: str | None,
    notify_deployments: bool,
    notify_credits: bool,
    repository: Repository,
) -> None:
    """Set what a user says of themselves, all of it."""
    await connection.execute(
        """update accounts
           set name = $2, repository_url = $3, repository_branch = $4, repository_token = $5,
               repository_webhook_secret = $6, repository_key = $7, notify_deployments = $8,
               notify_credits = $9
           where user_id = $1""",
        user_id,
        name,
        repository.url,
        repository.branch,
        repository.token,
        repository.webhook_secret,
        None if repository.url is None else repository_key(repository.url),
        notify_deployments,
        notify_credits,
    )


async def repository_of(connection: Connection, user_id: str) -> Repository:
    """Return a user's repository."""
    row = await connection.fetchrow(f"{_REPOSITORY} from accounts a where a.user_id = $1", user_id)
    return Repository() if row is None else _repository(row)


async def repositories_by_key(connection: Connection, keys: list[str]) -> list[Repository]:
    """Return active partners' repositories that have a webhook's secret, by key; 20 at most."""
    rows = await connection.fetch(
        f"""{_REPOSITORY} from accounts a join users u using (user_id)
        where a.repository_key = any ($1::text[]) and a.repository_webhook_secret is not null
          and u.active and 'partner' = any (u.roles)
        order by a.user_id limit 20""",
        keys,
    )
    return [_repository(row) for row in rows]


async def repositories_to_read(
    connection: Connection, last_before: datetime
) -> list[tuple[Repository, str | None]]:
    """Return active partners' repositories whose last sync is from then or before; 20 at most.

    Each with the id of that sync, if there was any. One whose sync still runs is not among them.
    """
    rows = await connection.fetch(
        """select a.user_id, a.repository_url, a.repository_branch, a.repository_token,
                  a.repository_webhook_secret, last.sync_id
        from accounts a join users u using (user_id)
        left join lateral (select sync_id, requested_at, status from syncs s
                           where s.partner_id = a.user_id
                           order by requested_at desc, sync_id desc limit 1) last on true
        where a.repository_url is not null and u.active and 'partner' = any (u.roles)
          and (last.sync_id is null or last.status <> 'RUNNING' and last.requested_at <= $1)
        order by last.requested_at nulls first, a.user_id limit 20""",
        last_before,
    )
    return [(_repository(row), row["sync_id"]) for row in rows]


def _repository(row: asyncpg.Record) -> Repository:
    return Repository(
        partner_id=row["user_id"],
        url=row["repository_url"],
        branch=row["repository_branch"],
        token=row["repository_token"],
        webhook_secret=row["repository_webhook_secret"],
    )


def _account(row: asyncpg.Record) -> Account:
    return Account(**{**dict(row), "roles": tuple(row["roles"])})
