"""`tollgate wait SERVICE`: what a container does before its service starts."""

import asyncio
import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tollgate.commands.options import DataDir, failures_told

if TYPE_CHECKING:
    from runtime.settings import RuntimeSettings

POLL_SECONDS: Final = 1.0
CONNECT_SECONDS_MAX: Final = 5.0


def wait(
    service: Annotated[str, typer.Argument(help="catalog, deployer, ledger, revenue or gateway")],
    *,
    data_dir: DataDir = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Give up after so many seconds.")
    ] = 600.0,
) -> None:
    """Wait until a service's database and bus are migrated to this release.

    Says what is missing whenever that changes; exit status 1 if it still is at the end.
    """
    with failures_told():
        missing = asyncio.run(_wait(service, data_dir, seconds_max=timeout))
    if missing is not None:
        raise typer.Exit(1)


async def _wait(service: str, data_dir: DataDir, *, seconds_max: float) -> str | None:
    from contracts.registry import SERVICES
    from runtime.clock import monotonic_seconds
    from runtime.settings import RuntimeSettings
    from tollgate.target import NoTargetError, use_service

    if service not in SERVICES:
        raise NoTargetError(f"there is no service {service!r}; there are {', '.join(SERVICES)}")
    use_service(service, data_dir)
    os.environ.setdefault("TOLLGATE_NATS_USER", service)
    settings = RuntimeSettings()
    until = monotonic_seconds() + seconds_max
    told = None
    while (missing := await _missing(service, settings)) is not None:
        if missing != told:
            typer.echo(f"{service} waits: {missing}", err=True)
            told = missing
        if monotonic_seconds() >= until:
            break
        await asyncio.sleep(POLL_SECONDS)
    return missing


async def _missing(service: str, settings: "RuntimeSettings") -> str | None:
    """Return what stands between the service and its start, without any secret, or nothing."""
    import asyncpg
    from nats.errors import Error as NatsError

    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            return await _schema(service, settings) or await _consumers(service, settings)
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS_MAX} s"
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, NatsError) as error:
        return str(error) or type(error).__name__


async def _schema(service: str, settings: "RuntimeSettings") -> str | None:
    import asyncpg

    from runtime.migrate import check_schema

    connection = await asyncpg.connect(settings.postgres_dsn.get_secret_value())
    try:
        return await check_schema(connection, service)
    finally:
        await connection.close()


async def _consumers(service: str, settings: "RuntimeSettings") -> str | None:
    from runtime.bus import Bus
    from runtime.consumption import check_bus
    from services.wiring import TOPOLOGY

    password = settings.nats_password.get_secret_value()
    bus = Bus(service=service, url=settings.nats_url, user=settings.nats_user, password=password)
    try:
        await bus.connect()
        return "; ".join(await check_bus(bus, TOPOLOGY)) or None
    finally:
        await bus.close()
