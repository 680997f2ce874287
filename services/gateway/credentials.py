"""Sessions and API tokens: unguessable texts, of which only hashes are kept.

They are 256 random bits, so a plain SHA-256 is enough: there is nothing to guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal, get_args

from runtime.connection import Connection
from runtime.ids import new_id, new_secret

TOKEN_PREFIX: Final = "tg_"  # noqa: S105 - what tokens begin with, no token
CREDENTIAL_LENGTH_MAX: Final = 200
USED_EVERY: Final = timedelta(minutes=1)

Scope = Literal["read", "write"]
SCOPES: Final[frozenset[str]] = frozenset(get_args(Scope))


@dataclass(frozen=True)
class Principal:
    """Who asks, and by what: `scopes` are a token's, all of them for a session."""

    user_id: str
    roles: frozenset[str]
    via: Literal["session", "token"]
    scopes: frozenset[str]
    credential_hash: bytes
    expires_at: datetime

    def has(self, *roles: str) -> bool:
        """Return whether they have one of these roles."""
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True)
class Token:
    """An API token as its owner may see it again: not the text itself."""

    token_id: str
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


def credential_hash(text: str) -> bytes:
    """Return by what a session or token is known here."""
    return sha256(text.encode()).digest()


async def begin_session(
    connection: Connection, user_id: str, *, now: datetime, lasts: timedelta
) -> str:
    """Return a new session's text, for the cookie."""
    text = new_secret()
    await connection.execute(
        """insert into sessions (id_hash, user_id, created_at, expires_at)
           values ($1, $2, $3, $4)""",
        credential_hash(text),
        user_id,
        now,
        now + lasts,
    )
    return text


async def end_session(connection: Connection, text: str) -> None:
    """End a session, if it is one."""
    await connection.execute("delete from sessions where id_hash = $1", credential_hash(text))


async def principal_of_session(
    connection: Connection, text: str, now: datetime
) -> Principal | None:
    """Return whose session it is, if it is one of an active user."""
    id_hash = credential_hash(text)
    row = await connection.fetchrow(
        """select s.user_id, u.roles, s.expires_at from sessions s join users u using (user_id)
           where s.id_hash = $1 and s.expires_at > $2 and u.active""",
        id_hash,
        now,
    )
    if row is None:
        return None
    return Principal(
        user_id=row["user_id"],
        roles=frozenset(row["roles"]),
        via="session",
        scopes=SCOPES,
        credential_hash=id_hash,
        expires_at=row["expires_at"],
    )


async def principal_of_token(connection: Connection, text: str, now: datetime) -> Principal | None:
    """Return whose token it is, if it is one of an active user."""
    token_hash = credential_hash(text)
    row = await connection.fetchrow(
        """select t.token_id, t.user_id, u.roles, t.scopes, t.expires_at, t.last_used_at
           from api_tokens t join users u using (user_id)
           where t.token_hash = $1 and t.expires_at > $2 and u.active""",
        token_hash,
        now,
    )
    if row is None:
        return None
    if row["last_used_at"] is None or now - row["last_used_at"] > USED_EVERY:
        await connection.execute(
            "update api_tokens set last_used_at = $2 where token_id = $1", row["token_id"], now
        )
    return Principal(
        user_id=row["user_id"],
        roles=frozenset(row["roles"]),
        via="token",
        scopes=frozenset(row["scopes"]),
        credential_hash=token_hash,
        expires_at=row["expires_at"],
    )


async def principal_of_subject(
    connection: Connection, claims: Mapping[str, Any], text: str
) -> Principal | None:
    """Return whose JWT it is, its claims checked, if its subject is linked to an active user.

    Its `scope` (RFC 9068: names with spaces between) narrows what it may do; without one it may
    do all that its user may. Names that are not ours give nothing.
    """
    row = await connection.fetchrow(
        """select i.user_id, u.roles from identities i join users u using (user_id)
           where i.issuer = $1 and i.subject = $2 and u.active""",
        claims["iss"],
        claims["sub"],
    )
    if row is None:
        return None
    return Principal(
        user_id=row["user_id"],
        roles=frozenset(row["roles"]),
        via="token",
        scopes=SCOPES.intersection(claims["scope"].split(" ")) if "scope" in claims else SCOPES,
        credential_hash=credential_hash(text),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


async def create_token_row(
    connection: Connection,
    *,
    user_id: str,
    name: str,
    scopes: tuple[Scope, ...],
    now: datetime,
    expires_at: datetime,
    token_id: str | None = None,
) -> tuple[Token, str]:
    """Return a new token and its text, which is not to be had again."""
    text = TOKEN_PREFIX + new_secret()
    token = Token(
        token_id=token_id or new_id(),
        name=name,
        hint=f"{text[:7]}…{text[-4:]}",
        scopes=scopes,
        created_at=now,
        expires_at=expires_at,
        last_used_at=None,
    )
    await connection.execute(
        """insert into api_tokens (token_id, token_hash, user_id, name, hint, scopes, created_at,
                                   expires_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8)
           on conflict (token_id) do update
           set token_hash = excluded.token_hash, hint = excluded.hint""",
        token.token_id,
        credential_hash(text),
        user_id,
        token.name,
        token.hint,
        list(token.scopes),
        token.created_at,
        token.expires_at,
    )
    return token, text


async def tokens_of(
    connection: Connection, user_id: str, after: tuple[datetime, str] | None, limit: int
) -> list[Token]:
    """Return a user's tokens, the newest first, those that have expired included."""
    rows = await connection.fetch(
        """select token_id, name, hint, scopes, created_at, expires_at, last_used_at
           from api_tokens
           where user_id = $1 and ($2::timestamptz is null or (created_at, token_id) < ($2, $3))
           order by created_at desc, token_id desc limit $4""",
        user_id,
        None if after is None else after[0],
        None if after is None else after[1],
        limit,
    )
    return [Token(**{**dict(row), "scopes": tuple(row["scopes"])}) for row in rows]


async def revoke_token(connection: Connection, user_id: str, token_id: str) -> bool:
    """End a token; return whether the user had it."""
    revoked = await connection.fetchval(
        "delete from api_tokens where user_id = $1 and token_id = $2 returning true",
        user_id,
        token_id,
    )
    return revoked is True
