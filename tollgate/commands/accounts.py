"""`tollgate user create` and `tollgate token create`: for when nobody can sign in yet."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.commands.options import AsJson, DataDir, failures_told, print_json

if TYPE_CHECKING:
    from runtime.process import Running

PASSWORD_CHARACTERS_MAX = 1_000

users = typer.Typer(help="People's accounts.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens for programs.", no_args_is_help=True)

Email = Annotated[str, typer.Option("--email", help="Whose account it is.")]


@users.callback()
@tokens.callback()
def _group() -> None:
    """Keep `create` a command of its own, though it is the only one."""


@users.command("create")
def create_user(
    *,
    email: Email,
    role: Annotated[
        list[str],
        typer.Option("--role", help="May be repeated: user, partner, agent, finance, …"),
    ],
    name: Annotated[str, typer.Option("--name", help="What people call them.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an account and print its id; asks for the password on a terminal."""
    from services.gateway.accounts import create_user as create

    password = _password(from_stdin=password_stdin)

    async def work(running: "Running") -> str:
        return await create(running, email=email, password=password, name=name or None, roles=role)

    _print(_in_gateway(data_dir, work), "id", as_json=as_json)


@tokens.command("create")
def create_token(
    *,
    email: Email,
    name: Annotated[str, typer.Option("--name", help="What the token is for.")] = "command line",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for somebody's programs and print it; it is not shown again."""
    from services.gateway.accounts import create_token as create

    async def work(running: "Running") -> str:
        return await create(running, email=email, name=name)

    _print(_in_gateway(data_dir, work), "token", as_json=as_json)


def _in_gateway(data_dir: DataDir, work: Callable[["Running"], Awaitable[str]]) -> str:
    """Return what the work gives, done with the gateway's settings on its database.

    What it publishes is sent by the gateway that runs, or by the next one that starts.
    """
    from tollgate.inside import inside_service

    async def inside() -> str:
        async with inside_service("gateway", data_dir) as running:
            return await work(running)

    with failures_told():
        return asyncio.run(inside())


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline(PASSWORD_CHARACTERS_MAX).rstrip("\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask for it on: use --password-stdin")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _print(value: str, name: str, *, as_json: bool) -> None:
    if as_json:
        print_json({name: value})
    else:
        typer.echo(value)
