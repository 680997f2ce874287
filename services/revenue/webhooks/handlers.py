"""What revenue does with what payees ask for of their webhooks, and with what was sent.

Secrets come sealed for revenue. They are kept under the master key in a table of their own, where
they can be erased, and in no fact.
"""

from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from contracts.envelope import Envelope
from contracts.gateway import v1 as gateway
from runtime.refusal import Refusal
from runtime.sealing import DataKey, SealingError, open_sealed
from runtime.work import Command, Message, Needs, Work
from services.revenue.settings import RevenueSettings
from services.revenue.webhooks.decider import (
    Attempts,
    Change,
    EndOwner,
    Register,
    Remove,
    Resend,
    Rotate,
    Test,
    WebhookCommand,
    decide_webhook,
)
from services.revenue.webhooks.facts import SecretRotated
from services.revenue.webhooks.publishing import WEBHOOK_STREAM, webhook_stream
from services.revenue.webhooks.standing import (
    ChangesStanding,
    has_ended,
    note_standing,
    standing_key,
)

SENDER: Final = "webhook sender"
"""Who records how deliveries fare."""

Asked = (
    gateway.WebhookRegistrationRequested
    | gateway.WebhookChangeRequested
    | gateway.WebhookRemovalRequested
    | gateway.WebhookRotationRequested
    | gateway.WebhookTestRequested
    | gateway.WebhookResendRequested
)


@dataclass(frozen=True, kw_only=True)
class RecordAttempts(Command):
    """Record what came of sending some things to an endpoint."""

    owner_id: str
    attempts: Attempts


class WebhookHandlers:
    """Decides on webhooks. Without keys none can be registered."""

    def __init__(self, settings: RevenueSettings) -> None:
        self._allow_loopback = settings.allow_private_webhooks
        self._sealing_key = settings.sealing_key
        self._master = master_key(settings)

    def stream(self, message: Message) -> str | None:
        """Return the stream that a message is about, or nothing where it is about no webhook."""
        match message:
            case RecordAttempts(owner_id=owner_id):
                return webhook_stream(owner_id)
            case Envelope(data=data) if isinstance(data, Asked):
                return webhook_stream(data.requested_by)
            case Envelope(data=data) if isinstance(data, ChangesStanding):
                return webhook_stream(data.user_id)
            case _:
                return None

    def needs(self, message: Message) -> Needs:
        """Return the owner's stream, and whether they may have webhooks."""
        stream = self.stream(message)
        if stream is None:
            return Needs()
        if isinstance(message, RecordAttempts):
            return Needs((stream,))
        return Needs((stream,), (standing_key(stream.removeprefix(f"{WEBHOOK_STREAM}-")),))

    def handle(self, message: Message, work: Work) -> None:
        """Decide, or leave the message to others."""
        stream = self.stream(message)
        if stream is None:
            return
        if isinstance(message, RecordAttempts):
            facts = decide_webhook(message.attempts, work.state(stream), work.at(stream))
            work.append(stream, facts)
        elif isinstance(message, Envelope) and isinstance(message.data, ChangesStanding):
            lost = note_standing(message.data, work)
            if lost is not None:
                command = EndOwner(lost=lost)
                work.append(stream, decide_webhook(command, work.state(stream), work.at(stream)))
        elif isinstance(message, Envelope):
            self._answer(message.data, stream, work)

    def _answer(self, asked: Any, stream: str, work: Work) -> None:
        at = work.at(stream)
        if asked.expires_at <= work.now:
            work.refuse("REQUEST_EXPIRED", "the request was not carried out in time")
            return
        if has_ended(asked.requested_by, work) and _wants_to_be_told(asked):
            work.refuse("FORBIDDEN", "who is no partner or agent any more is told nothing")
            return
        try:
            facts = decide_webhook(self._command(asked), work.state(stream), at)
            secret = self._secret(asked)
        except Refusal as refusal:
            work.refuse(refusal.code, refusal.detail)
            return
        work.append(stream, facts, actor=asked.requested_by)
        if secret is None or not facts:
            return
        webhook_id, kept = asked.webhook_id, secret
        until = facts[0].both_until if isinstance(facts[0], SecretRotated) else None

        async def keep(connection: asyncpg.Connection) -> None:
            await connection.execute(
                "delete from webhook_secrets where webhook_id = $1 and valid_until <= $2",
                webhook_id,
                at,
            )
            await connection.execute(
                """update webhook_secrets set valid_until = $2
                   where webhook_id = $1 and valid_until is null""",
                webhook_id,
                until,
            )
            await connection.execute(
                """insert into webhook_secrets (webhook_id, secret_id, wrapped, created_at)
                   values ($1, $2, $3, $4)""",
                webhook_id,
                asked.request_id,
                kept,
                at,
            )

        work.alongside(keep)

    def _command(self, asked: Asked) -> WebhookCommand:
        webhook_id = asked.webhook_id
        match asked:
            case gateway.WebhookRegistrationRequested():
                return Register(
                    webhook_id=webhook_id,
                    url=asked.url,
                    event_types=asked.event_types,
                    description=asked.description,
                    allow_loopback=self._allow_loopback,
                )
            case gateway.WebhookChangeRequested():
                return Change(
                    webhook_id=webhook_id,
                    url=asked.url,
                    event_types=asked.event_types,
                    description=asked.description,
                    enabled=asked.enabled,
                    allow_loopback=self._allow_loopback,
                )
            case gateway.WebhookRemovalRequested():
                return Remove(webhook_id=webhook_id)
            case gateway.WebhookRotationRequested():
                return Rotate(webhook_id=webhook_id)
            case gateway.WebhookTestRequested():
                return Test(webhook_id=webhook_id, delivery_id=asked.request_id)
            case gateway.WebhookResendRequested():
                return Resend(
                    webhook_id=webhook_id, delivery_id=asked.delivery_id, since=asked.since
                )

    def _secret(self, asked: Asked) -> str | None:
        """Return the secret that a request brings, under the master key; or nothing."""
        if not isinstance(
            asked, gateway.WebhookRegistrationRequested | gateway.WebhookRotationRequested
        ):
            return None
        if self._sealing_key is None or self._master is None:
            raise Refusal("WEBHOOKS_NOT_CONFIGURED", "revenue has no keys for secrets")
        try:
            secret = open_sealed(asked.sealed_secret, self._sealing_key.get_secret_value())
        except SealingError:
            raise Refusal("WEBHOOKS_NOT_CONFIGURED", "the secret is not for revenue") from None
        return self._master.encrypt(secret)


def _wants_to_be_told(asked: Asked) -> bool:
    if isinstance(asked, gateway.WebhookChangeRequested):
        return asked.enabled is True
    return isinstance(asked, gateway.WebhookRegistrationRequested)


def master_key(settings: RevenueSettings) -> DataKey | None:
    """Return the key that secrets are kept under, if there is one."""
    text = settings.master_key
    return None if text is None else DataKey.from_text(text.get_secret_value())
