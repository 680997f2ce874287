"""Whose account an issuer's subject is.

A subject is linked once, by an e-mail address that the issuer has verified. We never verified the
address that somebody registered with, so whoever made the account may not be who the issuer says:
linking ends all its sessions and tokens and takes its password away. After that the link holds,
whatever address the issuer gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.connection import Connection
from services.gateway.account_rows import EmailTakenRefusal, account_by_email


class EmailNotVerifiedError(Exception):
    """The issuer gives no address, or none that it has verified."""


@dataclass(frozen=True)
class Linked:
    """An account that a subject is linked to."""

    user_id: str
    active: bool


async def account_of_subject(connection: Connection, issuer: str, subject: str) -> Linked | None:
    """Return the account that a subject is linked to, or nothing."""
    row = await connection.fetchrow(
        """select i.user_id, u.active from identities i join users u using (user_id)
           where i.issuer = $1 and i.subject = $2""",
        issuer,
        subject,
    )
    return None if row is None else Linked(row["user_id"], row["active"])


def verified_email(claims: Mapping[str, Any]) -> str:
    """Return the address that the issuer has verified; `EmailNotVerifiedError` without one."""
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        raise EmailNotVerifiedError
    return email


async def link(
    connection: Connection, claims: Mapping[str, Any], email: str, now: datetime
) -> Linked | None:
    """Link a subject to the account with its address, if there is one; within a transaction.

    `EmailTakenRefusal` where another subject of the issuer's has it already.
    """
    found = await account_by_email(connection, email)
    if found is None:
        return None
    user_id, _, active = found
    if await connection.fetchval(
        "select true from identities where issuer = $1 and user_id = $2 and subject <> $3",
        claims["iss"],
        user_id,
        claims["sub"],
    ):
        # The issuer gave an address that was somebody's to somebody else.
        raise EmailTakenRefusal("EMAIL_TAKEN", "this e-mail address has another's account")
    made = await connection.fetchval(
        """insert into identities (issuer, subject, user_id, linked_at) values ($1, $2, $3, $4)
           on conflict (issuer, subject) do nothing returning true""",
        claims["iss"],
        claims["sub"],
        user_id,
        now,
    )
    if made:
        await connection.execute(
            "update accounts set password_hash = null where user_id = $1", user_id
        )
        await connection.execute("delete from sessions where user_id = $1", user_id)
        await connection.execute("delete from api_tokens where user_id = $1", user_id)
    return Linked(user_id, active)
