"""`tollgate db migrate`."""

import asyncio

import typer

from tollgate.commands.options import AsJson, Check, DataDir, failures_told, print_json

app = typer.Typer(help="The services' databases.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `migrate` a command of its own, though it is the only one."""


@app.command("migrate")
def migrate(*, data_dir: DataDir = None, check: Check = False, as_json: AsJson = False) -> None:
    """Make every service's database and bring its schema to this release. Idempotent.

    Without --data-dir and with TOLLGATE_ADMIN_DSN set, works on that server; login roles that are
    not there yet are made with the passwords in TOLLGATE_<SERVICE>_PASSWORD.
    """
    with failures_told():
        changes = asyncio.run(_migrate(data_dir, check=check))
    if as_json:
        print_json(changes)
    else:
        _print(changes, check=check)
    if check and any(changes.values()):
        raise typer.Exit(1)


async def _migrate(data_dir: DataDir, *, check: bool) -> dict[str, list[str]]:
    from contracts.registry import SERVICES
    from runtime.databases import ensure_databases
    from runtime.migrate import migrate as migrate_service
    from runtime.migrate import service_role
    from tollgate.target import admin_dsn, with_database

    dsn, passwords = admin_dsn(data_dir)
    if not check:
        await ensure_databases(dsn, passwords)
    changes = {}
    for service in SERVICES:
        own = with_database(dsn, service_role(service))
        changes[service] = await migrate_service(own, service, check=check)
    return changes


def _print(changes: dict[str, list[str]], *, check: bool) -> None:
    for service, migrations in changes.items():
        for migration in migrations:
            typer.echo(f"{service}: {'missing' if check else 'applied'} {migration}")
    if not any(changes.values()):
        typer.echo("up to date")
