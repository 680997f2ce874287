"""Accounts' rows: names, addresses and password hashes, which may change and be erased."""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from runtime.connection import Connection
from runtime.refusal import Refusal


class EmailTakenRefusal(Refusal):
    """Somebody has an account with this e-mail address."""


@dataclass(frozen=True, kw_only=True)
class NewAccount:
    """What an account begins with."""

    email: str
    name: str | None
    password_hash: str = field(repr=False)
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
    created_at: datetime
    revision: int


_ACCOUNT = """
    select a.user_id, a.email, a.name, u.roles, u.active, u.referred_by, a.referral_code,
           a.repository_url, a.repository_branch,
           a.repository_token is not null as token_configured, u.registered_at as created_at,
           u.revision
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


async def account_by_email(connection: Connection, email: str) -> tuple[str, str, bool] | None:
    """Return (user id, password hash, active) of an address, or nothing."""
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


async def change_profile(
    connection: Connection,
    user_id: str,
    *,
    name: str | None,
    repository_url: str | None,
    repository_branch: str | None,
    repository_token: str | None,
) -> None:
    """Set what a user says of themselves, all of it; the token is encrypted."""
    await connection.execute(
        """update accounts set name = $2, repository_url = $3, repository_branch = $4,
                               repository_token = $5
           where user_id = $1""",
        user_id,
        name,
        repository_url,
        repository_branch,
        repository_token,
    )


async def repository_of(
    connection: Connection, user_id: str
) -> tuple[str | None, str | None, str | None]:
    """Return a user's repository: address, branch, and the token for it, encrypted."""
    row = await connection.fetchrow(
        """select repository_url, repository_branch, repository_token from accounts
           where user_id = $1""",
        user_id,
    )
    return (None, None, None) if row is None else tuple(row)


def _account(row: asyncpg.Record) -> Account:
    return Account(**{**dict(row), "roles": tuple(row["roles"])})
