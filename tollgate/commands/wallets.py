"""`tollgate ledger wallet`: one wallet at any instant, from the ledger's own facts."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from tollgate.commands.options import AsJson, DataDir, failures_told, instant_of, print_json

if TYPE_CHECKING:
    from services.ledger.queries import WalletAt

LINES: int = 20


def wallet(
    user_id: Annotated[str, typer.Argument(help="Whose wallet.")],
    *,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="An instant (RFC 3339); what happened up to it.")
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", min=0, max=10_000, help="How many movements to show.")
    ] = LINES,
    snapshots: Annotated[
        bool,
        typer.Option("--snapshots/--no-snapshots", help="Whether to begin at a kept snapshot."),
    ] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a wallet's balance, lots and last movements, now or as they were."""
    instant = None if as_of is None else instant_of(as_of)
    with failures_told():
        found, history = asyncio.run(_read(data_dir, user_id, instant, lines, snapshots=snapshots))
    if as_json:
        print_json(_shown(found, history))
        return
    balance = asdict(found.wallet.balance)
    typer.echo(f"{user_id} after {found.version} facts, the last at {found.at or 'no time'}")
    typer.echo("  " + ", ".join(f"{name} {number}" for name, number in balance.items()))
    for lot in found.wallet.lots.values():
        free = ", ".join(f"{start}-{end}" for start, end in lot.free) or "none"
        typer.echo(f"  lot {lot.lot_id}: free {free}; held {lot.held}; frozen {lot.frozen}")
    for line in history:
        typer.echo(f"  {line['at']} {line['type']} {line['credits']} {line['deployment_id'] or ''}")


async def _read(
    data_dir: Path | None, user_id: str, instant: datetime | None, lines: int, *, snapshots: bool
) -> "tuple[WalletAt, list[dict[str, Any]]]":
    import asyncpg

    from runtime.segments.reader import CONNECT_SECONDS_MAX
    from services.ledger.queries import history_at, wallet_at
    from services.ledger.settings import LedgerToolSettings
    from tollgate.target import use_service

    use_service("ledger", data_dir)
    dsn = LedgerToolSettings().postgres_dsn.get_secret_value()
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS_MAX)
    try:
        found = await wallet_at(connection, user_id, instant, snapshots=snapshots)
        return found, await history_at(connection, user_id, instant, limit=lines)
    finally:
        await connection.close()


def _shown(found: "WalletAt", history: list[dict[str, Any]]) -> dict[str, Any]:
    import msgspec

    return {
        "user_id": found.user_id,
        "version": found.version,
        "at": None if found.at is None else found.at.isoformat(),
        "balance": asdict(found.wallet.balance),
        "lots": msgspec.to_builtins(list(found.wallet.lots.values())),
        "open_holds": sorted(found.wallet.holds),
        "history": msgspec.to_builtins(history),
    }
