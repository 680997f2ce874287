"""`tollgate schemas` and `tollgate asyncapi`: the contracts, for those who read no Python."""

from pathlib import Path
from typing import Annotated

import typer

from tollgate.commands.options import failures_told

Check = Annotated[
    bool, typer.Option("--check", help="Only tell what is wrong; exit status 1 if anything is.")
]
Release = Annotated[
    bool, typer.Option("--release", help="Freeze, for ever, all that is not released yet.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", help="Write it to this file instead.", show_default=False),
]


def schemas(*, check: Check = False, release: Release = False) -> None:
    """Export the messages' JSON Schemas into `contracts/schemas`; what is released never changes.

    `module.yaml`'s goes into `docs`. `--check` compares them, the golden examples and the whole
    history of `contracts/released.json`.
    """
    from contracts import export
    from contracts.registry import REGISTRY
    from devkit import contract_releases
    from services.catalog import module_yaml_schema

    with failures_told():
        if not check and not release:
            for path in export.write(export.contracts_of(REGISTRY), export.SCHEMAS):
                typer.echo(f"changed: {path}")
            if module_yaml_schema.write():
                typer.echo(f"changed: {module_yaml_schema.FILE.name}")
            return
        problems = contract_releases.problems()
        if module_yaml_schema.is_stale():
            problems.append(f"{module_yaml_schema.FILE} is stale: run `make schemas`")
        for problem in problems:
            typer.echo(problem, err=True)
        if problems:
            raise typer.Exit(1)
        if release:
            for name in contract_releases.release():
                typer.echo(f"released: {name}")


def asyncapi(*, output: Output = None) -> None:
    """Print the AsyncAPI 3 document of the whole system: who sends what, and who receives it."""
    from contracts.asyncapi import text

    with failures_told():
        if output is None:
            typer.echo(text(), nl=False)
        else:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(text(), encoding="utf-8")
