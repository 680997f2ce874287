"""`tollgate parked`: messages that could not be handled, kept for a person to decide."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tollgate.commands.options import AsJson, DataDir, failures_told, print_json

if TYPE_CHECKING:
    import asyncpg

    from runtime.parked import Parked

T = TypeVar("T")

app = typer.Typer(help="Messages set aside.", no_args_is_help=True)

OfService = Annotated[str | None, typer.Option("--service", help="Only this service's.")]
MessageId = Annotated[str, typer.Argument(help="The message's id.")]


@app.command("list")
def list_(*, data_dir: DataDir = None, service: OfService = None, as_json: AsJson = False) -> None:
    """List messages set aside: parked ones, then those that wait; 1,000 of a service at most."""
    from runtime.parked import list_parked

    found = _in_each(data_dir, service, list_parked)
    rows = [{"service": name, **_row(item)} for name, items in found.items() for item in items]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = "parked" if row["parked_at"] else "waiting"
        typer.echo(
            f"{row['service']}  {row['id']}  {state}  {row['stream']}#{row['sequence']}  "
            f"{row['reason']}  {row['detail'][:120]}"
        )
    if not rows:
        typer.echo("nothing is set aside")


@app.command("show")
def show(message_id: MessageId, data_dir: DataDir = None, service: OfService = None) -> None:
    """Show one message set aside, with its body and why."""
    from runtime.parked import show_parked

    found = _in_each(data_dir, service, lambda connection: show_parked(connection, message_id))
    rows = [
        {"service": name, **_row(item), "body": item.body.decode(errors="replace")}
        for name, item in found.items()
        if item is not None
    ]
    _found_one(bool(rows), message_id)
    print_json(rows[0] if len(rows) == 1 else rows)


@app.command("retry")
def retry(message_id: MessageId, data_dir: DataDir = None, service: OfService = None) -> None:
    """Have a parked message tried again at once, and then what waits behind it."""
    from runtime.parked import retry_parked

    found = _in_each(data_dir, service, lambda connection: retry_parked(connection, message_id))
    _found_one(any(found.values()), message_id)
    typer.echo("it is tried again")


@app.command("discard")
def discard(message_id: MessageId, data_dir: DataDir = None, service: OfService = None) -> None:
    """Give a parked message up for good: its stream goes on as if it had been handled."""
    from runtime.parked import discard_parked

    found = _in_each(data_dir, service, lambda connection: discard_parked(connection, message_id))
    _found_one(any(found.values()), message_id)
    typer.echo("it is given up")


def _in_each(
    data_dir: DataDir,
    service: str | None,
    ask: Callable[["asyncpg.Connection"], Awaitable[T]],
) -> dict[str, T]:
    """Return what the function finds in each service's database."""
    from tollgate.target import service_dsns

    async def all_of() -> dict[str, T]:
        import asyncpg

        found = {}
        for name, dsn in service_dsns(data_dir, service).items():
            connection = await asyncpg.connect(dsn)
            try:
                found[name] = await ask(connection)
            finally:
                await connection.close()
        return found

    with failures_told():
        return asyncio.run(all_of())


def _row(parked: "Parked") -> dict[str, Any]:
    return {name: value for name, value in asdict(parked).items() if name != "body"}


def _found_one(found: bool, message_id: str) -> None:  # noqa: FBT001 - one clear question
    if not found:
        typer.echo(f"no message {message_id} is parked, or not as next in its stream", err=True)
        raise typer.Exit(1)
