"""Options that several commands have, and how expected failures are told."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
def failures_told() -> Iterator[None]:
    """Tell a failure that people can do something about in one message, and exit with status 1."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        sys.stderr.write(f"tollgate: {str(error) or type(error).__name__}\n")
        raise typer.Exit(1) from error


def print_json(value: Any) -> None:
    """Print a value for programs."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


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
    from runtime.migrate import MigrationError
    from runtime.process import StartError
    from runtime.refusal import Refusal
    from runtime.signing import SigningKeyError
    from services.deployer.keys import KeyErasedError
    from services.ledger.periods.attesting import NotAttestedError
    from services.ledger.sealing.manifest import ManifestError
    from services.ledger.sealing.places import PlaceError
    from services.ledger.sealing.sealer import SealError
    from tollgate.target import NoTargetError

    return (
        *(asyncpg.PostgresError, asyncpg.InterfaceError, NatsError, OSError),
        *(DataDirectoryError, DataVersionError, NoIdentityError, NoFreePortError, PortTakenError),
        *(DemoError, DemoRepositoryError, Refusal, ValidationError, KeyErasedError),
        *(SealError, SigningKeyError, PlaceError, ManifestError, NotAttestedError),
        *(ProgramFailedError, NotReadyError, MigrationError, StartError, NoTargetError),
    )
