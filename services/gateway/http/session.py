"""Signing in and out."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr
from starlette.requests import Request
from starlette.responses import Response

from runtime.connection import Connection
from services.gateway.account_rows import account_by_email, change_password
from services.gateway.acts import note
from services.gateway.credentials import CREDENTIAL_LENGTH_MAX, begin_session, end_session
from services.gateway.gateway import Gateway
from services.gateway.http.access import anyone_afresh
from services.gateway.http.door import COOKIE, place_of
from services.gateway.http.parameters import TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input
from services.gateway.identity import EMAIL_LENGTH_MAX
from services.gateway.passwords import PASSWORD_LENGTH_MAX, is_outdated

router = resource("Signing in")


class SignIn(Input):
    """Who signs in."""

    email: Annotated[str, Field(max_length=EMAIL_LENGTH_MAX, examples=["ada@example.com"])]
    password: Annotated[SecretStr, Field(max_length=PASSWORD_LENGTH_MAX)]


@router.post("/api/session", status_code=204)
@anyone_afresh
async def sign_in(body: SignIn, request: Request, gateway: TheGateway) -> Response:
    """Sign in: the answer sets the session's cookie, and ends the session that was before."""
    place, now = place_of(request), gateway.now
    async with gateway.connection() as connection:
        wait = await gateway.throttle.wait_seconds(
            connection, email=body.email, place=place, now=now
        )
        if wait:
            raise ProblemError("TOO_MANY_REQUESTS", headers={"Retry-After": str(wait)})
        found = await account_by_email(connection, body.email)
    user_id, password_hash, active = found or (None, None, False)
    password = body.password.get_secret_value()
    if not await gateway.passwords.is_right(password, password_hash) or user_id is None:
        raise ProblemError("BAD_CREDENTIALS")
    if not active:
        raise ProblemError("ACCOUNT_INACTIVE")
    rehashed = (
        await gateway.passwords.hash(password)
        if password_hash is not None and is_outdated(password_hash)
        else None
    )
    lasts = timedelta(hours=gateway.settings.session_hours)
    async with gateway.connection() as connection:
        await gateway.throttle.forgive(connection, email=body.email, place=place)
        if rehashed is not None:
            await change_password(connection, user_id, rehashed)
        await end_session_of(connection, request)
        text = await begin_session(connection, user_id, now=now, lasts=lasts)
        await note(connection, "signed_in", actor=user_id, at=now, details={"by": "password"})
    response = Response(status_code=204)
    set_session_cookie(gateway, response, text, lasts)
    return response


@router.delete("/api/session", status_code=204)
@anyone_afresh
async def sign_out(request: Request, gateway: TheGateway) -> Response:
    """End the session, if there is one."""
    async with gateway.connection() as connection:
        await end_session_of(connection, request)
    return without_cookie(gateway)


def set_session_cookie(gateway: Gateway, response: Response, text: str, lasts: timedelta) -> None:
    """Have the browser keep a session."""
    response.set_cookie(
        COOKIE,
        text,
        max_age=int(lasts.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=is_secure(gateway),
    )


def without_cookie(gateway: Gateway) -> Response:
    """Return the answer that takes the cookie away."""
    response = Response(status_code=204)
    response.delete_cookie(
        COOKIE, path="/", httponly=True, samesite="lax", secure=is_secure(gateway)
    )
    return response


def is_secure(gateway: Gateway) -> bool:
    """Return whether browsers reach us by TLS."""
    return (gateway.settings.public_url or "").startswith("https://")


async def end_session_of(connection: Connection, request: Request) -> None:
    """End the session that the call has, if it has one: no session outlives a sign-in."""
    text = request.cookies.get(COOKIE)
    if text and len(text) <= CREDENTIAL_LENGTH_MAX:
        await end_session(connection, text)
