"""The commands, one module each; what a command needs is loaded when it runs."""

import typer

from tollgate.commands import (
    accounts,
    bench,
    bus,
    config,
    contracts,
    db,
    ledger,
    parked,
    projection,
    revenue,
    secrets,
    state,
    statement,
    up,
    wait,
)

app = typer.Typer(
    name="tollgate",
    help="Infrastructure sold by the credit.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("service")(up.service)
app.command("wait")(wait.wait)
app.command("config")(config.config)
app.command("schemas")(contracts.schemas)
app.command("asyncapi")(contracts.asyncapi)
app.add_typer(accounts.users, name="user")
app.add_typer(accounts.tokens, name="token")
app.add_typer(secrets.app, name="secrets")
app.add_typer(db.app, name="db")
app.add_typer(bus.app, name="bus")
app.add_typer(ledger.app, name="ledger")
app.command("replay")(ledger.replay)
app.command("explain")(revenue.explain)
app.add_typer(revenue.app, name="revenue")
app.add_typer(statement.app, name="statement")
app.add_typer(state.app, name="state")
app.add_typer(parked.app, name="parked")
app.add_typer(projection.app, name="projection")
app.command("bench")(bench.bench)
