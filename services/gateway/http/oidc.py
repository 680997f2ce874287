"""Signing in with an OpenID Connect provider: the code flow with PKCE (S256).

What must come back unchanged goes into a cookie, encrypted: so the answer is good only in the
browser that asked, once, and for ten minutes. Whoever comes back and is not signed in is a person
who sees what we answer: they are sent to the page to sign in, with the code of what went wrong.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import structlog
from fastapi import Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from runtime.ids import new_id
from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from runtime.sealing import SealingError
from services.gateway.account_rows import EmailTakenRefusal, NewAccount, agent_of_code
from services.gateway.acts import note
from services.gateway.credentials import begin_session
from services.gateway.decider.users import Register
from services.gateway.gateway import Gateway
from services.gateway.handlers import RegisterUser
from services.gateway.http.access import anyone, anyone_from_elsewhere
from services.gateway.http.parameters import TextInQuery, TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.session import end_session_of, is_secure, set_session_cookie
from services.gateway.identity import NAME_LENGTH_MAX, check_email, new_referral_code
from services.gateway.jwt_reader import BadTokenError
from services.gateway.openid_accounts import (
    EmailNotVerifiedError,
    Linked,
    account_of_subject,
    link,
    verified_email,
)
from services.gateway.openid_provider import OpenIdProvider, ProviderError
from services.gateway.queries.settings import current_settings

router = resource("Signing in")

COOKIE: Final = "tollgate_oidc"
COOKIE_LENGTH_MAX: Final = 4_000
PATH: Final = "/auth/oidc"
CALLBACK: Final = f"{PATH}/callback"
MINUTES_MAX: Final = 10
HOME: Final = "/"
SIGN_IN_PAGE: Final = "/signin"
_LOCAL: Final = re.compile(r"/(?![/\\])[^\x00-\x20\\\x7f]*")
_SEE_OTHER: Final = 303
_REDIRECTED: Final[dict[int | str, dict[str, Any]]] = {
    _SEE_OTHER: {
        "description": "Where to go on.",
        "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
    }
}

Text = Annotated[str | None, Query(max_length=500)]
Code = Annotated[str | None, Query(max_length=4_000)]


@router.get(
    "/auth/oidc/login", status_code=_SEE_OTHER, response_class=Response, responses=_REDIRECTED
)
@anyone
async def oidc_login(
    gateway: TheGateway,
    return_to: Annotated[
        str, Query(max_length=500, description="A path of ours to come back to.")
    ] = HOME,
    referral_code: TextInQuery = None,
) -> Response:
    """Send a browser to the provider, to sign in there."""
    provider = _provider(gateway)
    if _LOCAL.fullmatch(return_to) is None:
        raise ProblemError("INVALID_INPUT", "return_to is no path of ours")
    try:
        endpoints = await provider.endpoints()
    except ProviderError as error:
        return _not_signed_in(gateway, "OIDC_UNAVAILABLE", str(error))
    kept = {
        "state": secrets.token_urlsafe(32),
        "nonce": secrets.token_urlsafe(32),
        "verifier": secrets.token_urlsafe(48),
        "return_to": return_to,
        "referral_code": referral_code,
        "until": (gateway.now + timedelta(minutes=MINUTES_MAX)).isoformat(),
    }
    challenge = hashlib.sha256(str(kept["verifier"]).encode()).digest()
    query = {
        "response_type": "code",
        "client_id": provider.client.client_id,
        "redirect_uri": _redirect_uri(gateway),
        "scope": "openid email profile",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    mark = "&" if "?" in endpoints.authorization else "?"
    response = RedirectResponse(
        f"{endpoints.authorization}{mark}{urlencode(query)}", status_code=_SEE_OTHER
    )
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        COOKIE,
        gateway.vault.encrypt(json.dumps(kept)),
        max_age=MINUTES_MAX * 60,
        path=PATH,
        httponly=True,
        samesite="lax",
        secure=is_secure(gateway),
    )
    return response


@router.get(CALLBACK, status_code=_SEE_OTHER, response_class=Response, responses=_REDIRECTED)
@anyone_from_elsewhere
async def oidc_callback(
    *,
    request: Request,
    gateway: TheGateway,
    state: Text = None,
    code: Code = None,
    iss: Text = None,
    error: Text = None,
) -> Response:
    """Take a browser back from the provider, and sign in.

    Where that fails, it goes on to `/signin?error=CODE`, with the code of a problem.
    """
    provider = _provider(gateway)
    try:
        kept = _kept(gateway, request, state)
        claims = await _claims(gateway, provider, kept, code=code, iss=iss, error=error)
        linked = await _account(gateway, claims, kept, gateway.now)
    except BadTokenError as problem:
        return _not_signed_in(gateway, "OIDC_REFUSED", str(problem))
    except ProviderError as problem:
        return _not_signed_in(gateway, "OIDC_UNAVAILABLE", str(problem))
    except (ProblemError, Refusal) as problem:
        return _not_signed_in(gateway, problem.code, str(problem))
    except (UnavailableError, TimeoutError, *OUTAGES) as problem:
        return _not_signed_in(gateway, "UNAVAILABLE", repr(problem))
    if not linked.active:
        return _not_signed_in(gateway, "ACCOUNT_INACTIVE")
    return await _signed_in(gateway, request, linked, kept["return_to"])


async def _signed_in(
    gateway: Gateway, request: Request, linked: Linked, return_to: str
) -> Response:
    """Begin a session, and send the browser to where it wanted to go."""
    now, lasts = gateway.now, timedelta(hours=gateway.settings.session_hours)
    async with gateway.connection() as connection, connection.transaction():
        await end_session_of(connection, request)
        text = await begin_session(connection, linked.user_id, now=now, lasts=lasts)
        details = {"by": "openid"}
        await note(connection, "signed_in", actor=linked.user_id, at=now, details=details)
    response = _leads_to(gateway, return_to)
    set_session_cookie(gateway, response, text, lasts)
    return response


def _not_signed_in(gateway: Gateway, code: str, reason: str = "") -> Response:
    """Send the browser to the page to sign in, which says what the code means."""
    structlog.get_logger().info("openid.not_signed_in", code=code, reason=reason)
    return _leads_to(gateway, f"{SIGN_IN_PAGE}?{urlencode({'error': code})}")


def _leads_to(gateway: Gateway, path: str) -> Response:
    """Send the browser on to a path of ours; what was kept for the way back is used up."""
    response = RedirectResponse(path, status_code=_SEE_OTHER)
    response.headers["Cache-Control"] = "no-store"
    response.delete_cookie(
        COOKIE, path=PATH, httponly=True, samesite="lax", secure=is_secure(gateway)
    )
    return response


def _kept(gateway: Gateway, request: Request, state: str | None) -> dict[str, Any]:
    """Return what was kept at the way out; a problem where this browser did not ask for it."""
    text = request.cookies.get(COOKIE)
    if not text or len(text) > COOKIE_LENGTH_MAX or state is None:
        raise ProblemError("OIDC_STATE_MISMATCH")
    try:
        kept: dict[str, Any] = json.loads(gateway.vault.decrypt(text))
    except (SealingError, ValueError) as error:
        raise ProblemError("OIDC_STATE_MISMATCH") from error
    late = gateway.now >= datetime.fromisoformat(kept["until"])
    if late or not hmac.compare_digest(kept["state"].encode(), state.encode()):
        raise ProblemError("OIDC_STATE_MISMATCH")
    return kept


async def _claims(
    gateway: Gateway,
    provider: OpenIdProvider,
    kept: dict[str, Any],
    *,
    code: str | None,
    iss: str | None,
    error: str | None,
) -> dict[str, Any]:
    """Return the ID token's claims, all of them checked (OpenID Connect Core, 3.1.3.7)."""
    client = provider.client
    endpoints = await provider.endpoints()
    if iss not in (None, client.issuer) or (iss is None and endpoints.names_itself):
        raise BadTokenError("the answer is another issuer's")
    if error is not None or not code:
        raise BadTokenError("the provider did not sign anybody in")
    token = await provider.id_token_for(
        code, verifier=kept["verifier"], redirect_uri=_redirect_uri(gateway)
    )
    claims = await provider.claims(token, client.client_id)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), kept["nonce"].encode()
    ):
        raise BadTokenError("the nonce is another's")
    party = claims.get("azp", client.client_id)
    if party != client.client_id:
        raise BadTokenError("the token was made for another")
    return claims


async def _account(
    gateway: Gateway, claims: dict[str, Any], kept: dict[str, Any], now: datetime
) -> Linked:
    """Return the subject's account: linked before, linked now, or new."""
    async with gateway.connection() as connection:
        found = await account_of_subject(connection, claims["iss"], claims["sub"])
    if found is not None:
        return found
    try:
        email = verified_email(claims)
    except EmailNotVerifiedError as error:
        raise ProblemError("OIDC_EMAIL_NOT_VERIFIED") from error
    linked = await _link(gateway, claims, email, now)
    if linked is None:
        await _register(gateway, claims, email, kept["referral_code"])
        linked = await _link(gateway, claims, email, now)
    if linked is None:
        raise ProblemError("UNAVAILABLE")
    return linked


async def _link(
    gateway: Gateway, claims: dict[str, Any], email: str, now: datetime
) -> Linked | None:
    async with gateway.connection() as connection, connection.transaction():
        linked = await link(connection, claims, email, now)
        if linked is not None:
            details = {"issuer": claims["iss"]}
            await note(connection, "identity_linked", actor=linked.user_id, at=now, details=details)
        return linked


async def _register(
    gateway: Gateway, claims: dict[str, Any], email: str, referral_code: str | None
) -> None:
    """Make somebody a user, without a password; a code that is no agent's is passed over."""
    check_email(email)
    async with gateway.connection() as connection:
        if not (await current_settings(connection)).settings.self_registration:
            raise ProblemError("REGISTRATION_CLOSED")
        referred_by = (
            None if referral_code is None else await agent_of_code(connection, referral_code)
        )
    name = claims.get("name")
    kept_name = name if isinstance(name, str) and 0 < len(name.strip()) <= NAME_LENGTH_MAX else None
    user_id = new_id()
    account = NewAccount(
        email=email,
        name=None if kept_name is None else " ".join(kept_name.split()),
        password_hash=None,
        referral_code=new_referral_code(),
    )
    register = Register(roles=("user",), referred_by=referred_by)
    try:
        await gateway.execute(
            RegisterUser(
                actor=user_id,
                correlation_id=user_id,
                user_id=user_id,
                register=register,
                account=account,
            )
        )
    except EmailTakenRefusal:
        # Somebody was faster: their account is linked instead.
        return


def _provider(gateway: Gateway) -> OpenIdProvider:
    if gateway.openid is None or gateway.settings.public_url is None:
        raise ProblemError("NOT_FOUND", "no OpenID Connect provider is configured")
    return gateway.openid


def _redirect_uri(gateway: Gateway) -> str:
    return f"{gateway.settings.public_url}{CALLBACK}"
