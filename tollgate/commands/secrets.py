"""`tollgate secrets make`."""

from pathlib import Path
from typing import Annotated, Final

import typer

from tollgate.commands.options import failures_told

app = typer.Typer(help="An installation's passwords and keys.", no_args_is_help=True)

KEPT: Final = "secrets.json"


@app.callback()
def _group() -> None:
    """Keep `make` a command of its own, though it is the only one."""


@app.command("make")
def make(
    *,
    to: Annotated[Path, typer.Option("--to", help="The folder that they are kept in.")],
    postgres: Annotated[
        str, typer.Option("--postgres", help="Where services find Postgres, host:port.")
    ] = "postgres:5432",
    postgres_admin: Annotated[
        str, typer.Option("--postgres-admin", help="Its superuser.")
    ] = "tollgate_admin",
) -> None:
    """Make what is missing, and write a folder of files for each part that reads them. Idempotent.

    All of it is kept in secrets.json too, from which a second run makes the same files.
    """
    from contracts.registry import SERVICES
    from devkit.secret_files import Places, secret_files, write_secret_files
    from devkit.secret_store import load_or_make

    with failures_told():
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        secrets = load_or_make(to / KEPT, SERVICES)
        files = secret_files(secrets, Places(postgres, postgres_admin))
        write_secret_files(to, files)
    typer.echo(f"{len(files)} files for {len({name.partition('/')[0] for name in files})} parts")
