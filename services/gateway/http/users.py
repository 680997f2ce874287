"""Users: registering, and what admins do with them."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Query
from msgspec import UNSET
from pydantic import Field, SecretStr
from starlette.requests import Request

from contracts.types import Id, Role
from services.gateway.account_rows import (
    EmailTakenRefusal,
    NewAccount,
    account_by_email,
    agent_of_code,
)
from services.gateway.decider.users import ChangeUser, Register
from services.gateway.gateway import Gateway
from services.gateway.handlers import RegisterUser, UpdateUser
from services.gateway.http.access import anyone, only
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.door import place_of
from services.gateway.http.parameters import (
    Anybody,
    Asker,
    IdInPath,
    OperationId,
    Search,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import check_if_match, resource
from services.gateway.http.shapes import Input, Output, Page, by_time, left_out, page
from services.gateway.identity import check_email, check_name, check_password, new_referral_code
from services.gateway.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from services.gateway.queries.credits import balance_of
from services.gateway.queries.settings import current_settings
from services.gateway.queries.users import list_users, user_by_id
from services.gateway.wakes import request_topic, until_woken

router = resource("Users")

AWARD_SECONDS_MAX: Final = 5.0
AWARD_POLL_SECONDS: Final = 0.1


_PASSWORD: Final = {"minLength": PASSWORD_LENGTH_MIN, "maxLength": PASSWORD_LENGTH_MAX}
"""Said, and checked with a code of its own."""


class NewUser(Input):
    """Who registers; `referral_code` is an agent's."""

    email: Annotated[str, Field(examples=["ada@example.com"])]
    password: Annotated[SecretStr, Field(json_schema_extra=_PASSWORD)]
    name: str | None = None
    referral_code: Annotated[str, Field(max_length=64)] | None = None


class UserChange(Input):
    """What shall be changed of a user; `referred_by` is an agent's user_id, or null for nobody."""

    roles: list[Role] = left_out(max_length=6)
    active: bool = left_out()
    referred_by: Id | None = left_out()


class UserOut(Output):
    """A user."""

    id: str
    email: str
    name: str | None
    roles: list[Role]
    active: bool
    referred_by: str | None
    created_at: datetime


@router.post("/api/users", status_code=201)
@anyone
async def register(
    body: NewUser, request: Request, gateway: TheGateway, asker: Anybody, user_id: OperationId
) -> UserOut:
    """Register. The answer waits, bounded, for the award that the settings promise."""
    password = body.password.get_secret_value()
    check_email(body.email)
    check_password(password, body.email)
    check_name(body.name)
    async with gateway.connection() as connection:
        settings = (await current_settings(connection)).settings
        if not settings.self_registration and not (asker and asker.has("admin")):
            raise ProblemError("REGISTRATION_CLOSED")
        wait = await gateway.throttle.registration_wait_seconds(
            connection, place=place_of(request), now=gateway.now
        )
        if wait:
            raise ProblemError("TOO_MANY_REQUESTS", headers={"Retry-After": str(wait)})
        found = await account_by_email(connection, body.email)
        if found is not None and found[0] != user_id:
            raise EmailTakenRefusal(
                "EMAIL_TAKEN", "this e-mail address has an account", pointer="/email"
            )
        referred_by = None
        if body.referral_code is not None:
            referred_by = await agent_of_code(connection, body.referral_code)
            if referred_by is None:
                raise invalid("/referral_code", "is no agent's code", "UNKNOWN_REFERRAL_CODE")
    account = NewAccount(
        email=body.email,
        name=body.name,
        password_hash=await gateway.passwords.hash(password),
        referral_code=new_referral_code(),
    )
    await gateway.execute(
        RegisterUser(
            actor=user_id if asker is None else asker.user_id,
            correlation_id=user_id,
            user_id=user_id,
            register=Register(roles=("user",), referred_by=referred_by),
            account=account,
        )
    )
    if settings.signup_award and settings.credits_enabled:
        await _until_awarded(gateway, user_id)
    return await _shown(gateway, user_id)


@router.get("/api/users")
@only("admin", "finance", "support")
async def users(
    *,
    gateway: TheGateway,
    cursors: TheCursors,
    paging: ThePaging,
    search: Search = None,
    role: Annotated[Role | None, Query()] = None,
    active: Annotated[bool | None, Query()] = None,
) -> Page[UserOut]:
    """List users, the newest first."""
    scope = {"list": "users", "search": search, "role": role, "active": active}
    async with gateway.connection() as connection:
        rows = await list_users(
            connection,
            search=search,
            role=role,
            active=active,
            after=cursors.read(scope, paging.cursor, TIME_AND_ID),
            limit=paging.limit + 1,
        )
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=by_time("created_at"),
        item=_user,
    )
    return Page(items=items, next_cursor=cursor)


@router.get("/api/users/{user_id}")
@only("admin")
async def user(user_id: IdInPath, gateway: TheGateway) -> UserOut:
    """Read a user."""
    return await _shown(gateway, user_id)


@router.patch("/api/users/{user_id}")
@only("admin")
async def change_user(
    user_id: IdInPath,
    body: UserChange,
    request: Request,
    gateway: TheGateway,
    asker: Asker,
) -> UserOut:
    """Change roles, referrer, or whether the user may sign in; it takes effect at once."""
    async with gateway.connection() as connection:
        row = await user_by_id(connection, user_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    is_conditional = check_if_match(request, _user(row))
    given = body.model_fields_set
    change = ChangeUser(
        roles=tuple(body.roles) if "roles" in given else UNSET,
        active=body.active if "active" in given else UNSET,
        referred_by=body.referred_by if "referred_by" in given else UNSET,
        expected_revision=row["revision"] if is_conditional else None,
    )
    await gateway.execute(UpdateUser(actor=asker.user_id, user_id=user_id, change=change))
    return await _shown(gateway, user_id)


async def _shown(gateway: Gateway, user_id: str) -> UserOut:
    async with gateway.connection() as connection:
        row = await user_by_id(connection, user_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    return _user(row)


def _user(row: Mapping[str, Any]) -> UserOut:
    return UserOut(**{name: value for name, value in row.items() if name != "revision"})


async def _until_awarded(gateway: Gateway, user_id: str) -> None:
    """Return once the ledger has given what new users get, or after a while without it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + AWARD_SECONDS_MAX
    with gateway.wakes.waiting(request_topic(user_id)) as woken:
        while not gateway.running.stopping.is_set():
            async with gateway.connection() as connection:
                balance = await balance_of(connection, user_id, gateway.now)
            left = deadline - loop.time()
            if balance.awarded or left <= 0:
                return
            await until_woken(woken, min(left, AWARD_POLL_SECONDS))
