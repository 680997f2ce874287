"""`tollgate state`: Terraform's states that the deployer keeps, and their locks."""

import asyncio
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tollgate.commands.options import AsJson, DataDir, failures_told, print_json

app = typer.Typer(help="Terraform's states and their locks.", no_args_is_help=True)

Deployment = Annotated[str, typer.Argument(help="The deployment's id.")]
_LISTED_MAX = 1_000


@app.command("list")
def list_(
    *,
    deployment: Annotated[
        str | None, typer.Option("--deployment", help="Only this deployment's.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List versions of states, the newest first, at most 1,000."""

    async def found() -> list[dict[str, object]]:
        from services.deployer.state_admin import list_states
        from tollgate.inside import inside_service

        async with inside_service("deployer", data_dir) as running:
            states = await list_states(running.pool, deployment_id=deployment, limit=_LISTED_MAX)
        return [asdict(state) for state in states]

    with failures_told():
        rows = asyncio.run(found())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        kind = "evidence" if row["evidence"] else "state"
        typer.echo(
            f"{row['deployment_id']}  {row['number']}  {kind}  {row['resources']} resources  "
            f"{row['stored_at']}  {row['build_id']} attempt {row['attempt']}"
        )
    if not rows:
        typer.echo("there is no state")


@app.command("download")
def download(
    deployment: Deployment,
    *,
    output: Annotated[Path, typer.Option("--output", help="A file that is not there yet.")],
    number: Annotated[
        int | None, typer.Option("--number", help="A version; without it, the current one.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a state to a file that only you may read: it holds secrets in the clear."""

    async def state() -> bytes:
        from runtime.sealing import DataKey
        from services.deployer.state_admin import download
        from tollgate.inside import inside_service

        async with inside_service("deployer", data_dir) as running:
            secret = running.settings.master_key
            master_key = DataKey.from_text(secret.get_secret_value() if secret else "")
            return await download(running.pool, master_key, deployment_id=deployment, number=number)

    with failures_told():
        body = asyncio.run(state())
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
    typer.echo(f"{len(body)} bytes in {output}")


@app.command("locks")
def locks(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List locks that are held: by which build, since when, and when that was last heard of."""

    async def found() -> list[dict[str, object]]:
        from services.deployer.state_admin import list_locks
        from tollgate.inside import inside_service

        async with inside_service("deployer", data_dir) as running:
            return [asdict(lock) for lock in await list_locks(running.pool)]

    with failures_told():
        rows = asyncio.run(found())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['deployment_id']}  lock {row['lock_id']}  since {row['locked_at']}  "
            f"{row['build_id']} {row['build_status']}, last heard of {row['heartbeat_at']}"
        )
    if not rows:
        typer.echo("nothing is locked")


@app.command("force-unlock")
def force_unlock(
    deployment: Deployment,
    lock_id: Annotated[str, typer.Argument(help="The lock's id, as `locks` shows it.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Take a lock away, unless its build lives; print who held it."""

    async def unlocked() -> dict[str, object]:
        from services.deployer.settings import DeployerSettings
        from services.deployer.state_admin import force_unlock
        from tollgate.inside import inside_service

        async with inside_service("deployer", data_dir) as running:
            settings = running.settings
            if not isinstance(settings, DeployerSettings):
                raise TypeError("the deployer's settings are of another class")
            held = await force_unlock(
                running.pool,
                deployment_id=deployment,
                lock_id=lock_id,
                now=running.clock.now(),
                lost_after=timedelta(seconds=settings.lost_after_seconds),
            )
        return asdict(held)

    with failures_told():
        print_json(asyncio.run(unlocked()))
