"""`tollgate db migrate`, `tollgate db import` and `tollgate db login`."""

import asyncio
import importlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tollgate.commands.options import AsJson, Check, DataDir, failures_told, print_json

if TYPE_CHECKING:
    from contracts.envelope import Envelope
    from runtime.restored import Imported, Importing

PASSWORD_CHARACTERS_MAX: Final = 1_000

app = typer.Typer(help="The services' databases.", no_args_is_help=True)


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


@app.command("import")
def import_(
    service: Annotated[str, typer.Argument(help="The service whose database was restored.")],
    *,
    data_dir: DataDir = None,
    check: Check = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="Go on although facts are lost: number as the bus does."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a database that is older than the bus up to it, by the facts that the bus can prove.

    The service must not run. Its consumers are made anew, so that what came to it since the backup
    comes again. Exit status 1: something is lost; it is listed, and without --accept-loss the
    service goes on refusing to start.
    """
    with failures_told():
        found = asyncio.run(_import(service, data_dir, check=check, accept_loss=accept_loss))
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(f"{found.messages} messages, {found.facts} facts brought back")
        for lost in found.lost:
            typer.echo(f"lost: {lost.stream} {lost.sequence} {lost.type} {lost.at}: {lost.reason}")
    if found.lost:
        raise typer.Exit(1)


@app.command("login")
def login(
    service: Annotated[str, typer.Argument(help="The service whose database it is.")],
    name: Annotated[str, typer.Argument(help="The login: tollgate_SERVICE, or that _ and a word.")],
    *,
    lock: Annotated[
        bool, typer.Option("--lock", help="Let it log in no more, and end its connections.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a service's database one more login, to change its password without a gap; or lock one.

    The new login's password is read from standard input, one line. It may do what the service may.
    Prints all logins that work now. The last one is never locked.
    """
    with failures_told():
        password = "" if lock else sys.stdin.readline(PASSWORD_CHARACTERS_MAX).rstrip("\n")
        logins = asyncio.run(_login(service, name, data_dir, None if lock else password))
    if as_json:
        print_json(logins)
    else:
        for each in logins:
            typer.echo(each)


async def _login(service: str, name: str, data_dir: Path | None, password: str | None) -> list[str]:
    import asyncpg

    from contracts.registry import SERVICES
    from runtime.logins import lock_login, open_login
    from runtime.migrate import MigrationError
    from tollgate.target import admin_dsn

    if service not in SERVICES:
        raise MigrationError(f"there is no service {service!r}; there are {', '.join(SERVICES)}")
    dsn, _ = admin_dsn(data_dir)
    connection = await asyncpg.connect(dsn)
    try:
        if password is None:
            return await lock_login(connection, service, name)
        return await open_login(connection, service, name, password)
    finally:
        await connection.close()


def importing_into(service: str, *, accept_loss: bool) -> "Importing":
    """Return what imports into a database of a service."""
    from runtime.restored import Again, Importing, Restoring
    from services.wiring import TOPOLOGY, WIRING

    main = importlib.import_module(f"services.{service}.main")
    restoring: Restoring = main.RESTORING

    def decode(subject: str, body: bytes) -> "Envelope[Any]":
        return WIRING.decode(WIRING.type_of_subject(subject), body)

    again = None
    if restoring.again is not None:
        again = Again(restoring.again, tuple(TOPOLOGY.sources(service)), decode)
    return Importing(
        service,
        main.KINDS,
        main.PROJECTIONS,
        accept_loss=accept_loss,
        again=again,
        restoring=restoring,
    )


async def _import(service: str, data_dir: DataDir, *, check: bool, accept_loss: bool) -> "Imported":
    import asyncpg

    from contracts.registry import SERVICES
    from runtime.bus_migrate import make_consumers_anew
    from runtime.migrate import MigrationError, owner_role, service_role
    from services.wiring import TOPOLOGY
    from tollgate.target import admin_dsn, bus_connection, with_database

    if service not in SERVICES:
        raise MigrationError(f"there is no service {service!r}; there are {', '.join(SERVICES)}")
    importing = importing_into(service, accept_loss=accept_loss)
    dsn, _ = admin_dsn(data_dir)
    async with bus_connection(data_dir) as client:
        connection = await asyncpg.connect(with_database(dsn, service_role(service)))
        try:
            await connection.execute(f"set role {owner_role(service)}")
            found = await importing.run(connection, client, check=check)
        finally:
            await connection.close()
        if not check and (accept_loss or not found.lost):
            await make_consumers_anew(client, TOPOLOGY, service)
    return found


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
