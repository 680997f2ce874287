"""Options that several commands have, and how expected failures are told."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Where `tollgate up` keeps its data (default .tollgate).",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Check = Annotated[bool, typer.Option("--check", help="Only tell; exit status 1 if not up to date.")]


@contextmanager
def failures_told(*, status: int = 1) -> Iterator[None]:
    """Tell a failure that people can do something about in one message, and exit."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        sys.stderr.write(f"tollgate: {_told(error)}\n")
        raise typer.Exit(status) from error


def print_json(value: Any) -> None:
    """Print a value for programs."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def instant_of(text: str) -> datetime:
    """Return an instant that was typed, in UTC; exits with what is wrong with it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no instant such as 2026-11-30T12:00:00Z") from None
    if found.tzinfo is None:
        raise typer.BadParameter(f"{text!r} says no time zone: end it with Z for UTC")
    return found.astimezone(UTC)


@contextmanager
def progress_shown(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what shows progress on a terminal; nothing where standard error is none."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda taken, total: bar.update(task, completed=taken, total=total)


def _told(error: Exception) -> str:
    """Return a failure in words: of settings the variables that are wrong, never their values."""
    from pydantic import ValidationError

    from tollgate.service import describe

    if isinstance(error, ValidationError):
        return describe(error).strip()
    return str(error) or type(error).__name__


def _expected() -> tuple[type[Exception], ...]:
    import asyncpg
    from nats.errors import Error as NatsError
    from pydantic import ValidationError

    from devkit.data_directory import DataDirectoryError
    from devkit.demo import DemoError
    from devkit.demo_repository import DemoRepositoryError
    from devkit.identity import NoIdentityError
    from devkit.ports import NoFreePortError
    from devkit.postgres import DataVersionError
    from devkit.program import ProgramFailedError
    from devkit.supervisor import NotReadyError
    from devkit.up import PortTakenError
    from runtime.logins import LoginError
    from runtime.migrate import MigrationError
    from runtime.past import BusLacksError
    from runtime.process import StartError
    from runtime.projection_rebuild import RebuildError
    from runtime.refusal import Refusal
    from runtime.restored import StillRunningError
    from runtime.segments.manifest import ManifestError
    from runtime.segments.places import PlaceError
    from runtime.segments.sealer import SealError
    from runtime.signing import SigningKeyError
    from services.deployer.keys import KeyErasedError
    from services.ledger.checking.parallel import WorkerEndedError
    from services.ledger.periods.attesting import NotAttestedError
    from services.ledger.stripe_gateway import StripeRefusedError, StripeUnavailableError
    from services.revenue.bundle import BundleError
    from tollgate.target import NoTargetError

    return (
        *(asyncpg.PostgresError, asyncpg.InterfaceError, NatsError, OSError),
        *(DataDirectoryError, DataVersionError, NoIdentityError, NoFreePortError, PortTakenError),
        *(StripeRefusedError, StripeUnavailableError),
        *(DemoError, DemoRepositoryError, Refusal, ValidationError, KeyErasedError),
        *(SealError, BundleError, SigningKeyError, PlaceError, ManifestError, NotAttestedError),
        *(ProgramFailedError, NotReadyError, MigrationError, StartError, NoTargetError),
        *(WorkerEndedError, BusLacksError, RebuildError, StillRunningError, LoginError),
    )
