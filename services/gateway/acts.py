"""What people do that leaves no fact: kept for the audit for a bounded time, no secret in it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from runtime.connection import Connection
from runtime.ids import new_id

Action = Literal[
    "signed_in", "identity_linked", "token_created", "token_revoked", "profile_changed"
]


async def note(
    connection: Connection,
    action: Action,
    *,
    actor: str,
    at: datetime,
    subject: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Keep that somebody did something."""
    await connection.execute(
        """insert into acts (id, at, actor, action, subject, details)
           values ($1, $2, $3, $4, $5, $6)""",
        new_id(),
        at,
        actor,
        action,
        subject,
        json.dumps(dict(details or {})),
    )
