"""`tollgate up` and `tollgate service`."""

from pathlib import Path
from typing import Annotated

import typer

from tollgate import VERSION
from tollgate.commands.options import failures_told
from tollgate.target import DEFAULT_DATA_DIR


def up(
    *,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Where all data is kept.")
    ] = DEFAULT_DATA_DIR,
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65_535, help="The gateway's port; 0 takes a free one."),
    ] = 8080,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make demo accounts and a demo module repository.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all log lines, not only warnings.")
    ] = False,
) -> None:
    """Run the whole system on this machine until Ctrl-C or SIGTERM.

    Starts an embedded Postgres and NATS, brings schemas and streams up to date, starts the five
    services, waits until all are ready, and restarts what crashes. A second start on the same data
    directory carries on where it was.
    """
    from devkit.up import Options, run
    from tollgate.commands.terminal import announce, tell

    options = Options(
        data_dir=data_dir,
        port=port,
        version=VERSION,
        demo=demo,
        tell=tell,
        least_level="info" if verbose else "warning",
        announce=announce,
    )
    with failures_told():
        run(options)


def service(
    name: Annotated[str, typer.Argument(help="catalog, deployer, ledger, revenue or gateway")],
) -> None:
    """Run one service in the foreground, configured by TOLLGATE_… variables."""
    from tollgate.service import run_service

    raise typer.Exit(run_service(name))
