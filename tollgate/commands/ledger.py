"""`tollgate ledger …` and `tollgate replay`: the books sealed, checked, and computed anew."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tollgate.commands.options import (
    AsJson,
    DataDir,
    failures_told,
    instant_of,
    progress_shown,
)
from tollgate.commands.reconcile import reconcile
from tollgate.commands.segments import (
    Keys,
    Segments,
    SegmentsOnly,
    add_commands,
    checked_by,
    print_verified,
    verify_files,
)
from tollgate.commands.wallets import wallet

if TYPE_CHECKING:
    from runtime.segments.chain import VerifyResult
    from services.ledger.checking.what_if import OtherShares
    from services.ledger.replay import ReplayResult
    from services.ledger.settings import LedgerToolSettings

app = typer.Typer(help="The ledger.", no_args_is_help=True)

GroupBy = Literal["user", "module", "partner", "agent", "month"]
Engine = Literal["exact", "columnar", "both"]
Format = Literal["table", "csv", "parquet", "json"]


@app.command("verify")
def verify(
    *,
    segments: Segments = None,
    segments_only: SegmentsOnly = False,
    keys: Keys = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check every stored fact, segment and manifest; exit status 1 names the first that is wrong.

    With --segments-only and --segments it checks an export, by --keys or the keys beside it.
    """
    with failures_told(), progress_shown("verifying") as progress:
        if segments_only:
            result = verify_files("ledger", segments, keys)
        else:
            result = _verify_all(segments, keys, data_dir, progress)
    print_verified(result, as_json=as_json)
    if not result.ok:
        raise typer.Exit(1)


def _verify_all(
    segments: str | None,
    keys: Path | None,
    data_dir: Path | None,
    progress: Callable[[int, int], None] | None,
) -> "VerifyResult":
    from services.ledger.sealing.verification import verify_all
    from tollgate.target import use_service

    use_service("ledger", data_dir)
    dsn, place, known = checked_by(_settings(), segments, keys)
    return asyncio.run(verify_all(dsn, place, known, progress=progress))


def _settings() -> "LedgerToolSettings":
    from services.ledger.settings import LedgerToolSettings

    return LedgerToolSettings()


@app.command("attest")
def attest(*, data_dir: DataDir = None) -> None:
    """Attest the months that are over, as the ledger does a few minutes after each one's end."""
    from tollgate.target import use_service

    with failures_told():
        use_service("ledger", data_dir)
        months = asyncio.run(_attest(_settings()))
    typer.echo(f"attested: {', '.join(months)}" if months else "no month is due")


async def _attest(settings: "LedgerToolSettings") -> list[str]:
    from runtime.process import assemble
    from services.ledger.main import build
    from services.ledger.periods.attesting import attest_due
    from services.ledger.periods.examination import examined
    from services.wiring import WIRING

    async with assemble(build(settings), settings, WIRING) as running:
        delay = timedelta(seconds=settings.attest_delay_seconds)
        months = await attest_due(running, partial(examined, settings), delay)
        return [month.name for month in months]


add_commands(app, "ledger", _settings)
app.command("reconcile")(reconcile)
app.command("wallet")(wallet)


def replay(
    *,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="An instant (RFC 3339); what happened up to it.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="An earlier instant: rows are by how much each one changed from then on.",
        ),
    ] = None,
    group_by: Annotated[GroupBy, typer.Option("--group-by", help="What a row stands for.")] = (
        "user"
    ),
    engine: Annotated[
        Engine,
        typer.Option(
            "--engine",
            help="exact decides every fact again; columnar computes from recorded slices; "
            "both must agree.",
        ),
    ] = "both",
    what_if: Annotated[
        str | None,
        typer.Option(
            "--what-if",
            help="Other shares, such as partner=35.00,agent=5.00: rows are payees, and what each "
            "would gain.",
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How the figures are written.")] = (
        "table"
    ),
    output: Annotated[
        Path | None, typer.Option("--output", help="A file; without it, standard output.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=64,
            help="Processes of the exact engine; without it, one for each core.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Recompute balances, true revenue and shares from the ledger's facts alone.

    Compares them with the live read models; exit status 1 if anything differs, listing it.
    """
    from services.ledger.replay_formats import render, summary

    instant = None if as_of is None else instant_of(as_of)
    earlier = None if since is None else instant_of(since)
    if earlier is not None and instant is not None and earlier > instant:
        raise typer.BadParameter("--since is after --as-of")
    shares = None if what_if is None else _shares(what_if)
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise typer.BadParameter("parquet is not for a terminal: name a file with --output")
    with failures_told(), progress_shown("replaying") as progress:
        asked = partial(
            _replay,
            data_dir,
            progress,
            group_by=group_by,
            engine=engine,
            shares=shares,
            workers=workers,
        )
        result = asked(as_of=instant)
        if earlier is not None:
            result = replace(result, since=asked(as_of=earlier))
        _write(render(result, form), output)
    typer.echo(summary(result), err=True)
    if not result.ok:
        raise typer.Exit(1)


def _replay(
    data_dir: Path | None,
    progress: Callable[[int, int], None] | None,
    *,
    as_of: datetime | None,
    group_by: GroupBy,
    engine: Engine,
    shares: "OtherShares | None",
    workers: int | None,
) -> "ReplayResult":
    from runtime.segments.places import open_place
    from services.ledger.replay import replay as replay_ledger
    from tollgate.target import replay_dsns, segments_url

    ledger_dsn, revenue_dsn = replay_dsns(data_dir)
    url = segments_url(data_dir)
    return asyncio.run(
        replay_ledger(
            ledger_dsn,
            as_of=as_of,
            group_by=group_by,
            engine=engine,
            place=None if url is None else open_place(url),
            shares=shares,
            revenue_dsn=revenue_dsn,
            progress=progress,
            workers=workers,
        )
    )


def _shares(text: str) -> "OtherShares":
    from services.ledger.checking.what_if import OtherShares, SharesError

    try:
        return OtherShares.read(text)
    except SharesError as error:
        raise typer.BadParameter(f"--what-if: {error}") from None


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        output.write_bytes(content)
