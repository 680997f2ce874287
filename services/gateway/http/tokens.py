"""API tokens: for programs, shown once."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field
from starlette.responses import Response

from contracts.types import Instant
from services.gateway.acts import note
from services.gateway.credentials import (
    Scope,
    Token,
    create_token_row,
    revoke_token,
    tokens_of,
)
from services.gateway.http.access import signed_in
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.parameters import (
    Asker,
    IdInPath,
    OperationId,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError, invalid
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input, Output, Page
from services.gateway.identity import check_name

router = resource("Tokens")

LIFETIME_DEFAULT: Final = timedelta(days=90)
LIFETIME_MAX: Final = timedelta(days=366)
_SCOPES: Final[tuple[Scope, ...]] = ("read", "write")


class NewToken(Input):
    """What a token shall be for; it expires after 90 days unless something else is said."""

    name: Annotated[str, Field(examples=["deploys from CI"])]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=2)] = Field(
        default=["read", "write"]
    )
    expires_at: Instant | None = None


class TokenOut(Output):
    """A token, without its text; `hint` is enough of it to know it by."""

    id: str
    name: str
    hint: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class CreatedToken(TokenOut):
    """A new token, with the text that is shown this once."""

    token: str


@router.post("/api/tokens", status_code=201)
@signed_in
async def create_token(
    body: NewToken, gateway: TheGateway, asker: Asker, token_id: OperationId
) -> CreatedToken:
    """Create a token. One that was made with a token has no more scopes, and lives no longer."""
    check_name(body.name)
    now = gateway.now
    missing = sorted(set(body.scopes) - asker.scopes)
    if missing:
        raise ProblemError("INSUFFICIENT_SCOPE", f"this token has not the scope {missing[0]}")
    latest = now + LIFETIME_MAX
    if asker.via == "token":
        latest = min(latest, asker.expires_at)
    expires_at = body.expires_at or min(now + LIFETIME_DEFAULT, latest)
    if not now < expires_at <= latest:
        raise invalid(
            "/expires_at", f"must be after now, and by {latest.isoformat()}", "NOT_IN_TIME"
        )
    async with gateway.connection() as connection, connection.transaction():
        token, text = await create_token_row(
            connection,
            user_id=asker.user_id,
            name=body.name,
            scopes=tuple(scope for scope in _SCOPES if scope in body.scopes),
            now=now,
            expires_at=expires_at,
            token_id=token_id,
        )
        details = {"name": token.name, "scopes": token.scopes}
        await note(
            connection,
            "token_created",
            actor=asker.user_id,
            at=now,
            subject=token.token_id,
            details=details,
        )
    return CreatedToken(**_token(token).model_dump(), token=text)


@router.get("/api/tokens")
@signed_in
async def tokens(
    gateway: TheGateway, asker: Asker, cursors: TheCursors, paging: ThePaging
) -> Page[TokenOut]:
    """List one's tokens, the newest first."""
    scope = {"list": "tokens", "user": asker.user_id}
    after = cursors.read(scope, paging.cursor, TIME_AND_ID)
    async with gateway.connection() as connection:
        found = await tokens_of(connection, asker.user_id, after, paging.limit + 1)
    shown = found[: paging.limit]
    cursor = None
    if len(found) > paging.limit:
        cursor = cursors.write(scope, (shown[-1].created_at, shown[-1].token_id))
    return Page(items=[_token(each) for each in shown], next_cursor=cursor)


@router.delete("/api/tokens/{token_id}", status_code=204)
@signed_in
async def revoke(token_id: IdInPath, gateway: TheGateway, asker: Asker) -> Response:
    """End a token, at once."""
    async with gateway.connection() as connection, connection.transaction():
        if not await revoke_token(connection, asker.user_id, token_id):
            raise ProblemError("NOT_FOUND")
        await note(
            connection, "token_revoked", actor=asker.user_id, at=gateway.now, subject=token_id
        )
    return Response(status_code=204)


def _token(token: Token) -> TokenOut:
    return TokenOut(
        id=token.token_id,
        name=token.name,
        hint=token.hint,
        scopes=list(token.scopes),
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
    )
