"""Idempotency-Key: who asks again gets the same answer, and nothing happens twice.

A key belongs to who sends it. What was answered is kept for a day, encrypted. Each key has an
operation id, by which whatever the call makes is known: should this process die in the middle,
then the same call, made again, finds what the first one made.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from runtime.connection import Connection
from runtime.ids import new_id
from services.gateway.credentials import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.door import place_of
from services.gateway.http.problems import ProblemError, invalid

HEADER: Final = "idempotency-key"
KEY: Final = r"[!-~]([ -~]{0,253}[!-~])?"
"""The form of a key: 1 to 255 printable characters of ASCII, and no space at an end."""
KEPT_FOR: Final = timedelta(hours=24)
BUSY_FOR: Final = timedelta(seconds=30)
"""Longer than any call takes; after that whoever held the key is dead."""

_NOT_KEPT: Final = frozenset({401, 429})
_SERVER_ERROR: Final = 500
_KEPT_HEADERS: Final = frozenset({"content-type", "location", "etag"})


class KeptAnswer(msgspec.Struct, frozen=True):
    """An answer as it is kept, before it is encrypted."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Claim:
    """The right to carry out a call; `operation_id` is that of the key's first call."""

    key: bytes
    operation_id: str


async def claim(
    gateway: Gateway, request: Request, principal: Principal | None, body: bytes
) -> Claim | Response | None:
    """Return the right to carry the call out, the answer it had before, or None without a key."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    if re.fullmatch(KEY, text) is None:
        detail = f"{HEADER}: 1 to 255 printable characters of ASCII"
        raise invalid("", detail, parameter=HEADER)
    whose = f"address {place_of(request)}" if principal is None else principal.user_id
    key = gateway.vault.keyed_hash("idempotency key", whose, request.method, request.url.path, text)
    digest = base64.b64encode(body).decode()
    fingerprint = gateway.vault.keyed_hash("idempotency body", request.url.query, digest)
    async with gateway.connection() as connection:
        row = await _claim(connection, key, fingerprint, new_id(), gateway.now)
    if row["fingerprint"] != fingerprint:
        raise ProblemError("IDEMPOTENCY_KEY_REUSED")
    if row["claimed"]:
        return Claim(key, row["operation_id"])
    if row["answer"] is None:
        raise ProblemError("IDEMPOTENCY_IN_PROGRESS", headers={"Retry-After": "1"})
    kept = msgspec.json.decode(gateway.vault.decrypt(row["answer"]), type=KeptAnswer)
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return Response(base64.b64decode(kept.body), status_code=kept.status, headers=headers)


async def keep(gateway: Gateway, claimed: Claim, response: Response) -> None:
    """Keep the answer; one that says nothing of the call itself frees the key instead."""
    answer: str | None = None
    if response.status_code < _SERVER_ERROR and response.status_code not in _NOT_KEPT:
        kept = KeptAnswer(
            status=response.status_code,
            headers={k: v for k, v in response.headers.items() if k in _KEPT_HEADERS},
            body=base64.b64encode(bytes(response.body)).decode(),
        )
        answer = gateway.vault.encrypt(msgspec.json.encode(kept).decode())
    async with gateway.connection() as connection:
        await connection.execute(
            "update idempotency_keys set answer = $2, busy_until = $3 where key = $1",
            claimed.key,
            answer,
            gateway.now,
        )


async def free(gateway: Gateway, claimed: Claim) -> None:
    """Let the call be made again: it ended without an answer."""
    async with gateway.connection() as connection:
        await connection.execute(
            "update idempotency_keys set busy_until = $2 where key = $1 and answer is null",
            claimed.key,
            gateway.now,
        )


async def _claim(
    connection: Connection,
    key: bytes,
    fingerprint: bytes,
    operation_id: str,
    now: datetime,
) -> asyncpg.Record:
    """Return the key's row; `claimed` where this call may be carried out.

    An expired key is a new one. A key that nobody is busy with, and that has no answer, is claimed
    under its first operation id.
    """
    while True:
        row = await connection.fetchrow(
            """insert into idempotency_keys as k (key, fingerprint, operation_id, busy_until,
                                                  expires_at)
               values ($1, $2, $3, $5, $6)
               on conflict (key) do update
               set fingerprint = case when k.expires_at <= $4 then $2 else k.fingerprint end,
                   operation_id = case when k.expires_at <= $4 then $3 else k.operation_id end,
                   answer = case when k.expires_at <= $4 then null else k.answer end,
                   expires_at = case when k.expires_at <= $4 then $6 else k.expires_at end,
                   busy_until = $5
               where k.expires_at <= $4
                  or (k.answer is null and k.busy_until <= $4 and k.fingerprint = $2)
               returning fingerprint, operation_id, answer, true as claimed""",
            key,
            fingerprint,
            operation_id,
            now,
            now + BUSY_FOR,
            now + KEPT_FOR,
        )
        if row is None:
            row = await connection.fetchrow(
                """select fingerprint, operation_id, answer, false as claimed
                   from idempotency_keys where key = $1""",
                key,
            )
        if row is not None:
            return row
