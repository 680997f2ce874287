"""`tollgate statement …`: a statement handed on with all that it follows from, and checked."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tollgate.commands.options import AsJson, DataDir, failures_told, print_json

app = typer.Typer(help="Statements of payees.", no_args_is_help=True)


@app.command("export")
def export(
    statement_id: Annotated[
        str, typer.Argument(metavar="STATEMENT", help="Month and payee: 2026-11-PAYEE.")
    ],
    *,
    to: Annotated[Path, typer.Option("--to", help="A new or empty folder.")],
    data_dir: DataDir = None,
) -> None:
    """Write a statement with the events and rules that it follows from, signed."""
    from runtime.segments.setup import public_keys, signing_key
    from services.revenue.bundle import export as export_bundle
    from services.revenue.settings import RevenueToolSettings
    from tollgate.target import NoTargetError, use_service

    with failures_told():
        use_service("revenue", data_dir)
        settings = RevenueToolSettings()
        key = signing_key(settings)
        if key is None:
            raise NoTargetError("no key to sign with: set TOLLGATE_SIGNING_KEY")
        dsn = settings.postgres_dsn.get_secret_value()
        made = asyncio.run(export_bundle(dsn, statement_id, key, public_keys(settings), to))
    typer.echo(f"{made.statement_id} with {made.facts} facts is in {to}, signed by {made.key_id}")


@app.command("verify")
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder.")],
    *,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="Public keys (JWK set); without it, those in the folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute a statement again from its bundle alone; exit status 1 names what does not fit."""
    import msgspec

    from runtime.signing import PublicKeys
    from services.revenue.bundle_check import check

    with failures_told():
        known = None if keys is None else PublicKeys.read(keys.read_text())
        found = check(bundle, known)
    if known is None:
        typer.echo(f"by the keys in the folder: compare {found.key_id}", err=True)
    statement = found.statement
    if as_json:
        told = {"facts": found.facts, "key_id": found.key_id}
        print_json({**msgspec.to_builtins(statement), **told, "ok": True})
    else:
        typer.echo(
            f"{statement.statement_id} fits: {found.facts} facts, {statement.lines} lines, balance "
            f"{statement.balance_minor}, payable {statement.payable_minor}, carried forward "
            f"{statement.carried_forward_minor} minor units of {statement.currency}"
        )
