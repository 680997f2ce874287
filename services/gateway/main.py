"""Where the gateway is put together; nothing happens at import."""

import asyncio
from collections.abc import Callable
from typing import Final

from contracts.envelope import Envelope
from runtime.process import Running, Service
from runtime.processor import UnavailableError
from runtime.restored import Restoring
from runtime.work import Message
from services.gateway.decider.settings import EstablishSettings
from services.gateway.gateway import put_together
from services.gateway.handlers import GatewayHandlers, SetSettings
from services.gateway.housekeeping import keep_house
from services.gateway.projections.audit import AUDIT
from services.gateway.projections.checkouts import CHECKOUTS
from services.gateway.projections.client_events import ClientEvents
from services.gateway.projections.deployments import DEPLOYMENTS
from services.gateway.projections.evidence import EVIDENCE
from services.gateway.projections.ledger import LEDGER
from services.gateway.projections.modules import MODULES
from services.gateway.projections.months import MONTHS
from services.gateway.projections.pins import PINS
from services.gateway.projections.requests import REQUESTS, may_answer
from services.gateway.projections.revenue import REVENUE
from services.gateway.projections.settings import SETTINGS
from services.gateway.projections.syncs import SYNCS
from services.gateway.projections.users import USERS
from services.gateway.projections.wallets import WALLETS
from services.gateway.projections.webhooks import WEBHOOKS
from services.gateway.publishing import KINDS
from services.gateway.settings import GatewaySettings
from services.gateway.sync_schedule import keep_in_sync
from services.gateway.wakes import Wakes

THE_SYSTEM: Final = "system"
"""Who establishes the settings."""

RETRY_SECONDS: Final = 0.5

PROJECTIONS: Final = (
    USERS,
    SETTINGS,
    MODULES,
    PINS,
    SYNCS,
    WALLETS,
    CHECKOUTS,
    DEPLOYMENTS,
    REVENUE,
    LEDGER,
    MONTHS,
    WEBHOOKS,
    EVIDENCE,
    REQUESTS,
    AUDIT,
    ClientEvents(),
)
"""The events for clients come last: see their module."""
RESTORING: Final = Restoring()


def build(settings: GatewaySettings) -> Service:  # noqa: ARG001 - every service is built alike
    """Return the service, composed."""
    wakes = Wakes()

    async def http(running: Running) -> None:
        await serve_api(running, wakes)

    async def logs(running: Running) -> None:
        from services.gateway.log_chunks import keep_logs

        await keep_logs(running, wakes)

    return Service(
        name="gateway",
        kinds=KINDS,
        handlers=GatewayHandlers(wakes),
        projections=PROJECTIONS,
        tasks=(http, logs, keep_house, keep_in_sync, establish_settings),
        own_http=True,
        unhurried=unhurried,
    )


def unhurried(message: Message) -> bool:
    """Whether nobody waits: neither a call that carries out a command, nor one for an answer."""
    return isinstance(message, Envelope) and not may_answer(message)


async def serve_api(running: Running, wakes: Wakes) -> None:
    """Serve the API until the process stops, and finish the calls that were begun."""
    from services.gateway.http.app import build_app
    from services.gateway.http.server import serve

    gateway = put_together(running, wakes)
    feed = asyncio.create_task(gateway.feed.run(), name="feed")
    stop = asyncio.create_task(_stir(running, gateway.feed.stir), name="feed stop")
    try:
        await serve(
            build_app(gateway),
            host=running.settings.http_host,
            port=running.settings.http_port,
            stopping=running.stopping,
            linger_seconds=gateway.settings.linger_seconds,
        )
    finally:
        for task in (feed, stop):
            task.cancel()
        await asyncio.gather(feed, stop, return_exceptions=True)


async def establish_settings(running: Running) -> None:
    """Tell everybody the settings' defaults once, on a new platform; then rest until cancelled."""
    while True:
        try:
            await running.processor.execute(
                SetSettings(actor=THE_SYSTEM, change=EstablishSettings())
            )
            break
        except UnavailableError:
            await asyncio.sleep(RETRY_SECONDS)
    await asyncio.Event().wait()


async def _stir(running: Running, stir: Callable[[], None]) -> None:
    await running.stopping.wait()
    stir()
