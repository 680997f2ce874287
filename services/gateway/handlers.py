"""What the gateway does with a message: its own commands, and the wakes that others' facts cause.

The others' facts change nothing here but read models, which the projections keep.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import msgspec

from contracts.deployer.v1 import DeploymentErased, DeploymentRefused
from contracts.envelope import Envelope
from contracts.ledger.v1 import CreditsPurchased
from runtime.work import Command, Message, Needs, Work
from services.gateway.account_rows import NewAccount, insert_account
from services.gateway.decider.pins import PinModule, decide_pins
from services.gateway.decider.requests import decide_request
from services.gateway.decider.settings import ChangeSettings, EstablishSettings, decide_settings
from services.gateway.decider.users import ChangeUser, Register, decide_admins, decide_user
from services.gateway.events import (
    ADMINS_STREAM,
    SECRETS_STREAM,
    SETTINGS_STREAM,
    Admins,
    DeploymentAsked,
    RequestFact,
    SecretChanged,
    SettingsChanged,
    pins_stream,
    request_stream,
    user_stream,
)
from services.gateway.log_rows import erase_logs
from services.gateway.projections.requests import may_answer, told_by
from services.gateway.secret_rows import destroy_data_key, keep_data_key, keep_secret
from services.gateway.wakes import FEED, Wakes, request_topic

PRICED: Final = ("ledger", "priced_lot")
"""The document that exists once a lot with a price does: from then on the currency is fixed."""


class Priced(msgspec.Struct, frozen=True):
    """A lot with a price exists."""

    currency: str


@dataclass(frozen=True, kw_only=True)
class RegisterUser(Command):
    """Make somebody a user, with an account that may be changed and erased."""

    user_id: str
    register: Register
    account: NewAccount = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class UpdateUser(Command):
    """Change what a user is."""

    user_id: str
    change: ChangeUser


@dataclass(frozen=True, kw_only=True)
class SetSettings(Command):
    """Establish or change the settings; `secrets` are encrypted, None takes one away."""

    change: ChangeSettings | EstablishSettings
    secrets: Mapping[str, str | None] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class SetPin(Command):
    """Have the actor pin a module, or no longer."""

    pin: PinModule


@dataclass(frozen=True, kw_only=True)
class Ask(Command):
    """Put a request; `data_key` is a new deployment's, wrapped."""

    request_id: str
    fact: RequestFact
    data_key: str | None = field(default=None, repr=False)


class GatewayHandlers:
    """Decides its own commands, and wakes those who wait for others' facts."""

    def __init__(self, wakes: Wakes) -> None:
        self._wakes = wakes

    def needs(self, message: Message) -> Needs:
        """Return the streams that a command decides on."""
        match message:
            case RegisterUser(user_id=user_id, register=register):
                return Needs(_user_streams(user_id, register.referred_by))
            case UpdateUser(user_id=user_id, change=change):
                referrer = change.referred_by if isinstance(change.referred_by, str) else None
                return Needs(_user_streams(user_id, referrer))
            case SetSettings():
                return Needs((SETTINGS_STREAM, SECRETS_STREAM), (PRICED,))
            case SetPin(actor=user_id):
                return Needs((pins_stream(user_id),))
            case Ask(request_id=request_id):
                return Needs((request_stream(request_id),))
            case Envelope(data=CreditsPurchased()):
                return Needs((), (PRICED,))
            case _:
                return Needs()

    def handle(self, message: Message, work: Work) -> None:
        """Decide a command; of others' facts, tell those who wait for them."""
        match message:
            case RegisterUser():
                self._register(message, work)
            case UpdateUser():
                self._decide_user(message.user_id, message.change, work)
            case SetSettings():
                self._set(message, work)
            case SetPin(actor=user_id, pin=pin):
                stream = pins_stream(user_id)
                work.append(stream, decide_pins(pin, work.state(stream)))
            case Ask():
                self._ask(message, work)
            case Envelope():
                self._follow(message, work)
            case _:
                raise TypeError(f"{type(message).__name__} is no message of the gateway's")
        work.effect(lambda: self._wakes.wake(FEED))

    def _register(self, command: RegisterUser, work: Work) -> None:
        account, at = command.account, work.now

        async def write(connection: asyncpg.Connection) -> None:
            await insert_account(connection, command.user_id, account, at)

        if self._decide_user(command.user_id, command.register, work):
            work.alongside(write)

    def _decide_user(self, user_id: str, command: Register | ChangeUser, work: Work) -> bool:
        """Append what the command brings; return whether it brought anything."""
        stream = user_stream(user_id)
        referred_by = command.referred_by
        referrer = (
            work.state(user_stream(referred_by))
            if isinstance(referred_by, str) and referred_by != user_id
            else None
        )
        admins: Admins = work.state(ADMINS_STREAM)
        facts = decide_user(
            command, work.state(stream), user_id=user_id, admins=admins, referrer=referrer
        )
        if facts:
            work.append(stream, facts)
            work.append(ADMINS_STREAM, decide_admins(user_id, work.state(stream), admins))
        return bool(facts)

    def _set(self, command: SetSettings, work: Work) -> None:
        priced = work.document(*PRICED, Priced) is not None
        state, at = work.state(SETTINGS_STREAM), work.at(SETTINGS_STREAM)
        facts = decide_settings(command.change, state, at, priced=priced)
        for stream, kept in ((SETTINGS_STREAM, SettingsChanged), (SECRETS_STREAM, SecretChanged)):
            if of_stream := [fact for fact in facts if isinstance(fact, kept)]:
                work.append(stream, of_stream)

        async def write(connection: asyncpg.Connection) -> None:
            for name, ciphertext in command.secrets.items():
                await keep_secret(connection, name, ciphertext, at)

        if command.secrets:
            work.alongside(write)

    def _ask(self, command: Ask, work: Work) -> None:
        stream = request_stream(command.request_id)
        facts = decide_request(command.fact, work.state(stream))
        if not facts:
            return
        work.append(stream, facts)
        if isinstance(command.fact, DeploymentAsked) and command.data_key is not None:
            deployment_id, wrapped = command.fact.deployment_id, command.data_key

            async def write(connection: asyncpg.Connection) -> None:
                await keep_data_key(connection, deployment_id, wrapped)

            work.alongside(write)

    def _follow(self, message: Envelope[Any], work: Work) -> None:
        if (
            isinstance(message.data, CreditsPurchased)
            and work.document(*PRICED, Priced) is None
            and message.data.lot.price_minor > 0
        ):
            work.put(*PRICED, Priced(message.data.lot.currency))
        if isinstance(message.data, DeploymentErased | DeploymentRefused):
            erased = message.data.deployment_id

            async def erase(connection: asyncpg.Connection) -> None:
                await destroy_data_key(connection, erased)
                await erase_logs(connection, erased)

            work.alongside(erase)
        if may_answer(message):
            topic, word = request_topic(message.correlationid), told_by(message)
            work.effect(lambda: self._wakes.wake(topic, word))


def _user_streams(user_id: str, referrer: str | None) -> tuple[str, ...]:
    streams = {user_stream(user_id), ADMINS_STREAM}
    if referrer is not None:
        streams.add(user_stream(referrer))
    return tuple(sorted(streams))
