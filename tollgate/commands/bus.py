"""`tollgate bus migrate` and `tollgate bus permissions`."""

import asyncio

import typer

from tollgate.commands.options import AsJson, Check, DataDir, failures_told, print_json

app = typer.Typer(help="JetStream's streams and consumers.", no_args_is_help=True)


@app.command("migrate")
def migrate(*, data_dir: DataDir = None, check: Check = False, as_json: AsJson = False) -> None:
    """Make JetStream's streams and consumers what this release needs. Idempotent.

    Without --data-dir and with TOLLGATE_NATS_ADMIN_PASSWORD set, works on the server at
    TOLLGATE_NATS_URL.
    """
    with failures_told():
        changes = asyncio.run(_migrate(data_dir, check=check))
    if as_json:
        print_json(changes)
    else:
        for change in changes:
            typer.echo(f"{'differs' if check else 'done'}: {change}")
        if not changes:
            typer.echo("up to date")
    if check and changes:
        raise typer.Exit(1)


@app.command("permissions")
def permissions() -> None:
    """Print each service's rights on the bus, as JSON for a NATS configuration."""
    from devkit.nats import LOG_WRITERS
    from runtime.bus_permissions import permissions as rights
    from services.wiring import TOPOLOGY

    print_json(rights(TOPOLOGY, log_writers=LOG_WRITERS))


async def _migrate(data_dir: DataDir, *, check: bool) -> list[str]:
    import nats

    from runtime.bus_migrate import migrate_bus
    from services.wiring import TOPOLOGY
    from tollgate.target import bus_admin

    admin = bus_admin(data_dir)
    client = await nats.connect(
        admin.url, user=admin.user, password=admin.password, allow_reconnect=False
    )
    try:
        return await migrate_bus(client, TOPOLOGY, check=check)
    finally:
        await client.close()
