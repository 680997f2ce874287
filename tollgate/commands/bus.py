"""`tollgate bus migrate`, `rebuild` and `permissions`."""

import asyncio
from typing import Annotated, Any

import typer

from tollgate.commands.options import AsJson, Check, DataDir, failures_told, print_json

app = typer.Typer(help="JetStream's streams and consumers.", no_args_is_help=True)

Replicas = Annotated[
    int,
    typer.Option(
        "--replicas",
        min=1,
        max=5,
        envvar="TOLLGATE_BUS_REPLICAS",
        help="On how many servers each stream is; 3 where NATS is a cluster.",
    ),
]


@app.command("migrate")
def migrate(
    *,
    data_dir: DataDir = None,
    check: Check = False,
    replicas: Replicas = 1,
    as_json: AsJson = False,
) -> None:
    """Make JetStream's streams and consumers what this release needs. Idempotent.

    Without --data-dir and with TOLLGATE_NATS_ADMIN_PASSWORD set, works on the server at
    TOLLGATE_NATS_URL.
    """
    with failures_told():
        changes = asyncio.run(_migrate(data_dir, replicas=replicas, check=check))
    if as_json:
        print_json(changes)
    else:
        for change in changes:
            typer.echo(f"{'differs' if check else 'done'}: {change}")
        if not changes:
            typer.echo("up to date")
    if check and changes:
        raise typer.Exit(1)


@app.command("rebuild")
def rebuild(
    *,
    data_dir: DataDir = None,
    check: Check = False,
    replicas: Replicas = 1,
    as_json: AsJson = False,
) -> None:
    """Have the services send again what JetStream has lost, from their outboxes. Idempotent.

    Makes the streams and consumers first. Services may run, and should: they do the sending.
    Requests are not sent again: what nobody answered in time has expired. Nobody applies a
    message twice.

    Without --data-dir works on TOLLGATE_ADMIN_DSN and, with TOLLGATE_NATS_ADMIN_PASSWORD, on the
    server at TOLLGATE_NATS_URL.
    """
    with failures_told():
        lost = asyncio.run(_rebuild(data_dir, replicas=replicas, check=check))
    if as_json:
        print_json(lost)
    else:
        for service, count in lost.items():
            typer.echo(f"{service}: {count} facts {'are lost' if check else 'will be sent again'}")
    if check and any(lost.values()):
        raise typer.Exit(1)


@app.command("permissions")
def permissions(
    *,
    helm: Annotated[
        bool, typer.Option("--helm", help="Print values for NATS' Helm chart instead.")
    ] = False,
) -> None:
    """Print each service's rights on the bus, as JSON for a NATS configuration.

    The chart's values take passwords from the Secret that `tollgate secrets make` calls nats-users.
    """
    from devkit.nats import LOG_WRITERS
    from runtime.bus_permissions import permissions as rights
    from services.wiring import TOPOLOGY

    allowed = rights(TOPOLOGY, log_writers=LOG_WRITERS)
    print_json(_helm_values(allowed) if helm else allowed)


def _helm_values(allowed: Any) -> dict[str, Any]:
    from devkit.nats import ADMIN

    users = [{"user": ADMIN, "password": "<< $ADMIN_PASSWORD >>"}]
    users += [
        {"user": name, "password": f"<< ${name.upper()}_PASSWORD >>", "permissions": own}
        for name, own in allowed.items()
    ]
    names = ["ADMIN", *(name.upper() for name in allowed)]
    environment = {
        f"{name}_PASSWORD": {
            "valueFrom": {
                "secretKeyRef": {"name": "tollgate-nats-users", "key": f"{name}_PASSWORD"}
            }
        }
        for name in names
    }
    return {
        "config": {"merge": {"authorization": {"users": users}}},
        "container": {"env": environment},
    }


async def _rebuild(data_dir: DataDir, *, replicas: int, check: bool) -> dict[str, int]:
    import asyncpg

    from runtime.bus_migrate import migrate_bus
    from runtime.bus_rebuild import send_again
    from runtime.migrate import owner_role, service_role
    from services.wiring import TOPOLOGY
    from tollgate.target import admin_dsn, bus_connection, with_database

    dsn, _ = admin_dsn(data_dir)
    lost = {}
    async with bus_connection(data_dir) as client:
        if not check:
            await migrate_bus(client, TOPOLOGY, replicas=replicas)
        for service in TOPOLOGY.services:
            connection = await asyncpg.connect(with_database(dsn, service_role(service)))
            try:
                await connection.execute(f"set role {owner_role(service)}")
                lost[service] = await send_again(client, connection, service, check=check)
            finally:
                await connection.close()
    return lost


async def _migrate(data_dir: DataDir, *, replicas: int, check: bool) -> list[str]:
    from runtime.bus_migrate import migrate_bus
    from services.wiring import TOPOLOGY
    from tollgate.target import bus_connection

    async with bus_connection(data_dir) as client:
        return await migrate_bus(client, TOPOLOGY, replicas=replicas, check=check)
