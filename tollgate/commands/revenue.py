"""`tollgate explain` and `tollgate revenue …`: what revenue follows from, and that it fits."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tollgate.commands.options import (
    AsJson,
    DataDir,
    failures_told,
    print_json,
    progress_shown,
)
from tollgate.commands.segments import (
    Keys,
    Segments,
    SegmentsOnly,
    add_commands,
    checked_by,
    print_verified,
    verify_files,
)

if TYPE_CHECKING:
    from services.revenue.settings import RevenueToolSettings
    from services.revenue.verification import Verified

app = typer.Typer(help="True revenue and its shares.", no_args_is_help=True)

Deployment = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="The deployment's id.")]


def explain(deployment: Deployment, data_dir: DataDir = None, *, as_json: AsJson = False) -> None:
    """Show how a deployment's revenue came about; exit status 1 where it cannot be computed again.

    Settlement, slices, lots, payments, shares, rounding, and the events with their hashes.
    """
    with failures_told():
        found = asyncio.run(_explained(deployment, data_dir))
    if found is None:
        typer.echo(f"deployment {deployment} was never settled", err=True)
        raise typer.Exit(1)
    if as_json:
        print_json(found)
    else:
        for line in _told(found):
            typer.echo(line)
    if not found["agrees"]:
        raise typer.Exit(1)


@app.command("verify")
def verify(
    *,
    segments: Segments = None,
    segments_only: SegmentsOnly = False,
    keys: Keys = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check every stored fact of revenue, every segment, sum and statement; exit status 1 if not.

    With --segments-only and --segments it checks an export, by --keys or the keys beside it.
    """
    if segments_only:
        with failures_told():
            result = verify_files("revenue", segments, keys)
        print_verified(result, as_json=as_json)
        if not result.ok:
            raise typer.Exit(1)
        return
    with failures_told(), progress_shown("verifying") as progress:
        found = _verified(segments, keys, data_dir, progress)
    misfits = [{"code": each.code, "message": each.message} for each in found.misfits]
    if as_json:
        figures = {"facts": found.facts, "head": found.head, "statements": found.statements}
        sealed = {"segments": found.segments, "sealed": found.sealed}
        print_json({**figures, **sealed, "ok": found.ok, "misfits": misfits})
    elif found.ok:
        sealed_there = f"{found.sealed} of them sealed in {found.segments} segments"
        typer.echo(
            f"{found.facts} facts fit, {sealed_there}, and {found.statements} statements; "
            f"head {found.head}"
        )
    else:
        for misfit in misfits:
            typer.echo(f"{misfit['code']}: {misfit['message']}")
    if not found.ok:
        raise typer.Exit(1)


def _verified(
    segments: str | None,
    keys: Path | None,
    data_dir: Path | None,
    progress: Callable[[int, int], None] | None,
) -> "Verified":
    from services.revenue.verification import verify as verify_revenue
    from tollgate.target import use_service

    use_service("revenue", data_dir)
    dsn, place, known = checked_by(_settings(), segments, keys)
    return asyncio.run(verify_revenue(dsn, place, known, progress=progress))


def _settings() -> "RevenueToolSettings":
    from services.revenue.settings import RevenueToolSettings

    return RevenueToolSettings()


add_commands(app, "revenue", _settings)


async def _explained(deployment: str, data_dir: Any) -> dict[str, Any] | None:
    import asyncpg

    from services.gateway.explanations import explain as open_revenue
    from services.gateway.explanations import read_evidence
    from tollgate.target import service_dsns

    connection = await asyncpg.connect(service_dsns(data_dir, "gateway")["gateway"], timeout=10)
    try:
        return open_revenue(await read_evidence(connection, deployment))
    finally:
        await connection.close()


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    settlement, currency = found["settlement"], found["currency"]
    yield (
        f"{found['module_name']} {found['module_version']}: {settlement['cost']} credits, settled "
        f"{settlement['settled_at']}, shares of settings {settlement['settings_version']}: "
        f"partner {settlement['partner_basis_points'] / 100:.2f} %, "
        f"agent {settlement['agent_basis_points'] / 100:.2f} %"
    )
    for line in found["lines"]:
        yield from _line_told(line, currency)
    for lot in found["lots"]:
        paid = lot["payment_id"] or lot["source"]
        yield (
            f"lot {lot['lot_id']}: {lot['kind']}, {lot['credits']} credits for "
            f"{_money(lot['price_minor'], currency)}, {paid}"
        )
    for event in found["events"]:
        yield (
            f"event {event['stream']}#{event['fact_version'] or event['sequence']} "
            f"{event['type']} {event['fact_hash'] or ''}"
        )
    totals = found["totals"]
    yield f"true revenue {_money(totals['true_revenue_minor'], currency)}"
    for payee, share in totals["shares_minor"].items():
        yield f"  of it {_money(share, currency)} for {payee}"
    yield "all of it can be computed again" if found["agrees"] else "THIS DOES NOT FIT"


def _line_told(line: Mapping[str, Any], currency: str) -> Iterator[str]:
    reverses = f" of line {line['reverses']}" if line["reverses"] else ""
    fits = "" if line["agrees"] else "  DOES NOT FIT"
    yield (
        f"line {line['line']} {line['kind']}{reverses}, {line['recognized_at']}: "
        f"{_money(line['true_revenue_minor'], currency)}{fits}"
    )
    for taken in line["slices"]:
        yield (
            f"  credits {taken['start']} to {taken['end']} of lot {taken['lot_id']}: "
            f"{taken['formula']} = {_money(taken['revenue_minor'], currency)}"
        )
    for share in line["shares"]:
        yield (
            f"  {share['payee_role']} {share['payee_id']} line {share['sequence']}: "
            f"{share['formula']}; {_money(share['running_total_minor'], currency)} so far"
        )


def _money(amount_minor: int, currency: str) -> str:
    sign = "-" if amount_minor < 0 else ""
    whole, rest = divmod(abs(amount_minor), 100)
    return f"{sign}{whole}.{rest:02} {currency}"
