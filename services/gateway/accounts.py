"""Accounts made from the command line: the first admin, and tokens for programs.

They go through the same command and the same rules as those made over HTTP. What is published
waits in the outbox for the gateway that runs, or will.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from runtime.clock import Clock, system_clock
from runtime.ids import new_id
from runtime.process import Running, assemble
from runtime.refusal import Refusal
from services.gateway.account_rows import (
    EmailTakenRefusal,
    NewAccount,
    account_by_email,
    change_password,
)
from services.gateway.credentials import Scope, create_token_row
from services.gateway.decider.users import ROLES, ChangeUser, Register, UnknownUserRefusal
from services.gateway.events import Role
from services.gateway.handlers import RegisterUser, UpdateUser
from services.gateway.identity import check_email, check_name, check_password, new_referral_code
from services.gateway.main import build
from services.gateway.passwords import Passwords
from services.gateway.settings import GatewaySettings
from services.wiring import WIRING

COMMAND_LINE: Final = "command-line"
"""Who does what is done from the command line."""


async def create_user(
    where: Running | str,
    *,
    email: str,
    password: str,
    roles: Sequence[str],
    name: str | None = None,
) -> str:
    """Return the id of a new user; `where` is a running gateway, or its database's DSN.

    Raises a `Refusal` whose detail says what is wrong: `EMAIL_TAKEN`, `INVALID_EMAIL`, and so on.
    """
    check_email(email)
    check_password(password, email)
    check_name(name)
    known = _roles(roles)
    async with _running(where) as running:
        async with running.pool.acquire(timeout=5) as connection:
            if await account_by_email(connection, email) is not None:
                raise EmailTakenRefusal("EMAIL_TAKEN", "this e-mail address has an account")
        account = NewAccount(
            email=email,
            name=name,
            password_hash=await Passwords().hash(password),
            referral_code=new_referral_code(),
        )
        user_id = new_id()
        register = Register(roles=known, referred_by=None)
        await running.processor.execute(
            RegisterUser(actor=COMMAND_LINE, user_id=user_id, register=register, account=account)
        )
        return user_id


async def ensure_user(
    where: Running | str,
    *,
    email: str,
    password: str,
    roles: Sequence[str],
    name: str | None = None,
) -> str:
    """Return the id of the user with this address, who then has these roles and this password."""
    async with _running(where) as running:
        async with running.pool.acquire(timeout=5) as connection:
            found = await account_by_email(connection, email)
        if found is None:
            return await create_user(
                running, email=email, password=password, roles=roles, name=name
            )
        check_password(password, email)
        user_id = found[0]
        passwords = Passwords()
        if not await passwords.is_right(password, found[1]):
            password_hash = await passwords.hash(password)
            async with running.pool.acquire(timeout=5) as connection:
                await change_password(connection, user_id, password_hash)
        change = ChangeUser(roles=_roles(roles), active=True)
        await running.processor.execute(
            UpdateUser(actor=COMMAND_LINE, user_id=user_id, change=change)
        )
        return user_id


async def create_token(
    where: Running | str,
    *,
    email: str,
    name: str = "command line",
    scopes: tuple[Scope, ...] = ("read", "write"),
    days: int = 90,
    clock: Clock = system_clock,
) -> str:
    """Return a new API token's text, which is not to be had again.

    Raises `UnknownUserRefusal` where nobody active has the address.
    """
    async with _running(where) as running, running.pool.acquire(timeout=5) as connection:
        found = await account_by_email(connection, email)
        if found is None or not found[2]:
            raise UnknownUserRefusal("NOT_FOUND", "no active user has this e-mail address")
        now = clock.now()
        _, text = await create_token_row(
            connection,
            user_id=found[0],
            name=name,
            scopes=scopes,
            now=now,
            expires_at=now + timedelta(days=days),
        )
        return text


@asynccontextmanager
async def _running(where: Running | str) -> AsyncIterator[Running]:
    """Give a gateway with a database and no bus."""
    if isinstance(where, Running):
        yield where
        return
    settings = GatewaySettings(
        postgres_dsn=SecretStr(where), nats_user="gateway", nats_password=SecretStr("")
    )
    async with assemble(build(settings), settings, WIRING) as running:
        yield running


def _roles(roles: Sequence[str]) -> tuple[Role, ...]:
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        raise Refusal("INVALID_ROLE", f"there is no role {unknown[0]!r}: {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in roles)
