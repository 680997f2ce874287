"""`tollgate bench`: what is promised, measured."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.telemetry import configure_logging
from tollgate.commands.options import AsJson, print_json

if TYPE_CHECKING:
    from benchmarks.table import Measure, Row


def bench(
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A row's name; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what Tollgate promises, each beside a reference of the same minute.

    Takes some minutes, ten gigabytes of disk, and the machine for itself. Exit status 1 if
    something is not reached.
    """
    measures = _measures()
    unknown = sorted(set(only or ()) - set(measures))
    if unknown:
        raise typer.BadParameter(f"no row {unknown[0]!r}; there are {', '.join(measures)}")
    configure_logging("bench", level="critical", log_format="console")
    rows = _measured([measure for name, measure in measures.items() if not only or name in only])
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        _print_table(rows)
    if not all(row.reached for row in rows):
        raise typer.Exit(1)


def _measured(measures: list["Measure"]) -> list["Row"]:
    from benchmarks.running import NotMeasuredError

    try:
        return [measure(_status) for measure in measures]
    except NotMeasuredError as error:
        typer.echo(f"tollgate: {error}", err=True)
        raise typer.Exit(1) from error


def _measures() -> dict[str, "Measure"]:
    try:
        from benchmarks import (
            build_overhead,
            catalog_sync,
            deployments,
            fair_queue,
            fan_out,
            gateway_calls,
            idle_memory,
            ledger_decisions,
            ledger_growth,
            ledger_replay,
            log_latency,
            modules,
            pages,
            ready,
            revenue_reports,
            revenue_settlements,
            webhook_deliveries,
        )
    except ModuleNotFoundError as error:
        typer.echo("tollgate: benchmarks come with a checkout, not with the package", err=True)
        raise typer.Exit(1) from error
    return {
        "ready": ready.measure,
        "idle-memory": idle_memory.measure,
        "ledger-decisions": ledger_decisions.measure,
        "ledger-growth": ledger_growth.measure,
        "columnar-replay": ledger_replay.measure_columnar,
        "exact-replay": ledger_replay.measure_exact,
        "deployments": deployments.measure,
        "live-status": deployments.measure_live,
        "log-latency": log_latency.measure,
        "fair-queue": fair_queue.measure,
        "build-overhead": build_overhead.measure,
        "modules": modules.measure,
        "calls": gateway_calls.measure,
        "pages": pages.measure,
        "fan-out": fan_out.measure,
        "catalog-sync": catalog_sync.measure,
        "revenue-settlements": revenue_settlements.measure,
        "revenue-pages": revenue_reports.measure_pages,
        "revenue-csv": revenue_reports.measure_csv,
        "webhook-deliveries": webhook_deliveries.measure,
    }


@contextmanager
def _status(text: str) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def _print_table(rows: list["Row"]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("What", "Reach", "Measured", "Beside", "")
    for row in rows:
        table.add_row(
            row.what, row.reach, row.measured, row.reference, "yes" if row.reached else "NO"
        )
    Console().print(table)
