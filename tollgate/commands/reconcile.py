"""`tollgate ledger reconcile`: what Stripe says beside what the ledger says."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from runtime.clock import system_clock
from tollgate.commands.options import (
    AsJson,
    DataDir,
    failures_told,
    instant_of,
    print_json,
    progress_shown,
)

if TYPE_CHECKING:
    from services.ledger.checkouts.reconciling import Reconciled
    from services.ledger.settings import LedgerToolSettings

RECONCILED: Final = timedelta(days=180)
"""A payment can be disputed for about 120 days."""


def reconcile(
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Sessions opened from here on (RFC 3339); or 180 days ago."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Sessions opened before this; or now.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Have the running ledger look again at what differs.")
    ] = False,
    accept: Annotated[
        str | None,
        typer.Option("--accept", help="An object's id: what differs of it may stay, for --note."),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why it may.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare Stripe's sessions, refunds and disputes with the ledger, and list what differs.

    Exit status 0: nothing does. 1: something does, or was set aside. 2: it could not be compared.
    """
    from services.ledger.settings import LedgerToolSettings
    from tollgate.target import use_service

    if (accept is None) != (not note.strip()):
        raise typer.BadParameter("--accept needs a --note, and a --note is for --accept")
    with failures_told(status=2), progress_shown("comparing") as progress:
        last = system_clock.now() if until is None else instant_of(until)
        first = last - RECONCILED if since is None else instant_of(since)
        use_service("ledger", data_dir)
        settings = LedgerToolSettings()
        accepted = None if accept is None else (accept, note)
        found = asyncio.run(
            _reconcile(settings, (first, last), progress, follow=follow, accepted=accepted)
        )
    if as_json:
        print_json(
            {"since": first.isoformat(), "until": last.isoformat(), "ok": found.ok, **asdict(found)}
        )
    else:
        _print_reconciled(found)
    if not found.ok:
        raise typer.Exit(1)


async def _reconcile(
    settings: "LedgerToolSettings",
    between: tuple[datetime, datetime],
    progress: Callable[[int, int], None] | None,
    *,
    follow: bool,
    accepted: tuple[str, str] | None,
) -> "Reconciled":
    import asyncpg

    from runtime.ids import new_id
    from runtime.refusal import Refusal
    from services.ledger.checkouts.handlers import NOT_CONFIGURED
    from services.ledger.checkouts.reconciling import Reconciling
    from services.ledger.stripe_gateway import StripeGateway

    if settings.stripe_api_key is None:
        raise Refusal(NOT_CONFIGURED, "TOLLGATE_STRIPE_API_KEY is not set")
    stripe = StripeGateway(settings.stripe_api_key.get_secret_value(), url=settings.stripe_api_url)
    connection = await asyncpg.connect(settings.postgres_dsn.get_secret_value())
    try:
        reconciling = Reconciling(connection, stripe)
        found = await reconciling.reconcile(*between, progress=progress)
        now = system_clock.now()
        if accepted is not None:
            object_id, note = accepted
            await reconciling.accept(found, object_id, note=note, at=now)
        if follow:
            await reconciling.have_followed(found, correlation_id=new_id(), at=now)
        return found
    finally:
        stripe.close()
        await connection.close()


def _print_reconciled(found: "Reconciled") -> None:
    for each in found.differences:
        typer.echo(
            f"{each.code} {each.object_id}: Stripe says {each.stripe}, the ledger {each.ledger}"
            f" (checkout {each.checkout_id}, user {each.user_id})"
        )
    for aside in found.set_aside:
        typer.echo(
            f"set aside: {aside.code} {aside.object_id}: {aside.detail}"
            f" (checkout {aside.checkout_id}, {aside.times} times since {aside.first_at})"
        )
    compared = f"{found.sessions} sessions compared, {found.foreign} others are not ours"
    listed = f"{len(found.differences)} differences, {len(found.set_aside)} set aside"
    if found.accepted:
        listed += f", {len(found.accepted)} accepted"
    typer.echo(f"{compared}, {found.jobs} jobs wait: {listed}")
