"""`tollgate projection`: read models, and how they are made anew."""

import asyncio
import importlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.commands.options import AsJson, Check, DataDir, failures_told, print_json

if TYPE_CHECKING:
    from runtime.projection_rebuild import Difference

app = typer.Typer(help="The services' read models.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `rebuild` a command of its own, though it is the only one."""


@app.command("rebuild")
def rebuild(
    projection: Annotated[
        str, typer.Argument(metavar="SERVICE/NAME", help="Such as gateway/wallets.")
    ],
    *,
    data_dir: DataDir = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Build a read model anew from all facts, compare it with the live one, and swap what differs.

    The service may run: readers never wait, writers for as long as the swap takes.

    Without --data-dir works on TOLLGATE_ADMIN_DSN and, with TOLLGATE_NATS_ADMIN_PASSWORD, on the
    server at TOLLGATE_NATS_URL.
    """
    with failures_told():
        found = asyncio.run(_rebuild(projection, data_dir, check=check))
    differs = any(each.surplus or each.missing for each in found)
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        for each in found:
            how = f"{each.surplus} surplus, {each.missing} missing" if differs else "as it was"
            typer.echo(f"{each.table}: {each.rows} rows, {how}")
    if check and differs:
        raise typer.Exit(1)


async def _rebuild(projection: str, data_dir: DataDir, *, check: bool) -> "list[Difference]":
    import asyncpg

    from contracts.registry import SERVICES
    from runtime.migrate import owner_role, service_role
    from runtime.projection_rebuild import ReadModels, RebuildError, rebuild
    from services.wiring import WIRING
    from tollgate.target import admin_dsn, bus_connection, with_database

    service, _, name = projection.partition("/")
    if service not in SERVICES or not name:
        raise RebuildError(f"{projection!r} is no SERVICE/NAME such as gateway/wallets")
    main = importlib.import_module(f"services.{service}.main")
    models = ReadModels(service, main.KINDS, main.PROJECTIONS)
    dsn, _ = admin_dsn(data_dir)
    async with bus_connection(data_dir) as client:
        connection = await asyncpg.connect(with_database(dsn, service_role(service)))
        try:
            await connection.execute(f"set role {owner_role(service)}")
            return await rebuild(connection, client, models, WIRING, name, check=check)
        finally:
            await connection.close()
