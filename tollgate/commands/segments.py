"""What `tollgate ledger` and `tollgate revenue` share: to seal, to export, to check files."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollgate.commands.options import AsJson, DataDir, failures_told, print_json, progress_shown

if TYPE_CHECKING:
    from runtime.segments.chain import VerifyResult
    from runtime.segments.origin import Origin
    from runtime.segments.places import Place
    from runtime.segments.settings import SegmentSettings
    from runtime.signing import PublicKeys

Segments = Annotated[
    str | None,
    typer.Option("--segments", help="Where segments are; without it, where they are sealed."),
]
SegmentsOnly = Annotated[
    bool, typer.Option("--segments-only", help="Check files alone, without a database.")
]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="Public keys (JWK set); without it, those in the settings."),
]


def add_commands(app: typer.Typer, service: str, settings: Callable[[], "SegmentSettings"]) -> None:
    """Add `seal`, `export` and `public-key` for a service; `settings` reads the environment."""

    @app.command("seal")
    def seal(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
        """Take every fact that no segment has yet into signed segments, at the place in settings.

        Exit status 1 where another process is sealing, or nothing may be sealed; it says why.
        """
        from runtime.segments.sealer import seal as seal_facts
        from runtime.segments.setup import sealing_of
        from tollgate.target import use_service

        with failures_told():
            use_service(service, data_dir)
            made = asyncio.run(seal_facts(sealing_of(origin_of(service), settings())))
        facts = sum(manifest.facts for manifest in made)
        if as_json:
            print_json({"facts": facts, "segments": [manifest.segment for manifest in made]})
        elif made:
            typer.echo(f"{facts} facts sealed, segments {made[0].number} to {made[-1].number}")
        else:
            typer.echo("everything is sealed already")

    @app.command("export")
    def export(
        *,
        to: Annotated[Path, typer.Option("--to", help="A new or empty folder.")],
        data_dir: DataDir = None,
    ) -> None:
        """Copy segments, manifests, public keys and what is not sealed yet, for an auditor."""
        from runtime.segments.export import export as export_facts
        from tollgate.target import use_service

        with failures_told(), progress_shown("exporting") as progress:
            use_service(service, data_dir)
            dsn, place, keys = checked_by(settings(), None, None)
            origin = origin_of(service)
            segments, facts = asyncio.run(
                export_facts(origin, dsn, place, keys, to, progress=progress)
            )
        typer.echo(f"{segments} segments and {facts} facts that are not sealed yet are in {to}")

    @app.command("public-key")
    def public_key(*, data_dir: DataDir = None) -> None:
        """Print the public keys that segments are signed by, as a JWK set."""
        from runtime.segments.setup import public_keys
        from tollgate.target import use_service

        with failures_told():
            use_service(service, data_dir)
            typer.echo(public_keys(settings()).to_json())


def origin_of(service: str) -> "Origin":
    """Return what of a service's facts is sealed."""
    found: Origin = import_module(f"services.{service}.sealing.origin").ORIGIN
    return found


def checked_by(
    settings: "SegmentSettings", segments: str | None, keys: Path | None
) -> "tuple[str, Place | None, PublicKeys]":
    """Return the database, the place and the keys to check by: as asked, else as set."""
    from runtime.segments.places import open_place
    from runtime.segments.setup import public_keys
    from runtime.signing import PublicKeys

    url = settings.segments_url if segments is None else _url(segments)
    place = None if url is None else open_place(url)
    known = public_keys(settings) if keys is None else PublicKeys.read(keys.read_text())
    return settings.postgres_dsn.get_secret_value(), place, known


def verify_files(service: str, segments: str | None, keys: Path | None) -> "VerifyResult":
    """Check files alone, by `--keys` or the keys beside them."""
    from runtime.segments.places import open_place
    from runtime.segments.sealer import KEYS_BYTES_MAX, KEYS_NAME
    from runtime.segments.verification import verify_segments
    from runtime.signing import PublicKeys

    if segments is None:
        raise typer.BadParameter("--segments-only needs --segments, to say where they are")
    place = open_place(_url(segments))
    if keys is None:
        typer.echo(f"by the keys beside the segments, {KEYS_NAME}: compare their ids", err=True)
    content = place.read(KEYS_NAME, KEYS_BYTES_MAX) if keys is None else keys.read_bytes()
    return verify_segments(origin_of(service), place, PublicKeys.read(content.decode()))


def print_verified(result: "VerifyResult", *, as_json: bool) -> None:
    """Tell what a verification found."""
    bad = result.first_bad
    if as_json:
        first_bad = None if bad is None else asdict(bad)
        print_json(
            {
                "events": result.events,
                "head": result.head,
                "segments": result.segments,
                "sealed": result.sealed,
                "ok": result.ok,
                "first_bad": first_bad,
            }
        )
    elif bad is None:
        sealed = f"{result.sealed} of them sealed in {result.segments} segments"
        typer.echo(f"{result.events} facts fit, {sealed}; head {result.head}")
    else:
        typer.echo(bad.described())


def _url(place: str) -> str:
    """Return a place's address; a path is a folder's."""
    return place if "://" in place else Path(place).resolve().as_uri()
