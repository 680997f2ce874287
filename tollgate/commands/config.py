"""`tollgate config`: every setting there is."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.registry import SERVICES
from tollgate.commands.options import AsJson, print_json

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


def config(
    *,
    service: Annotated[str | None, typer.Option("--service", help="Only this service's.")] = None,
    as_json: AsJson = False,
) -> None:
    """List all settings: variable, who reads it, default, meaning.

    Secrets may also be given as files: NAME_FILE holds the path.
    """
    if service is not None and service not in SERVICES:
        raise typer.BadParameter(
            f"there is no service {service!r}; there are {', '.join(SERVICES)}"
        )
    rows = _rows(SERVICES if service is None else (service,))
    if as_json:
        print_json(rows)
        return
    _print(rows)


def _rows(services: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return one row for each variable, merged over the services that read it."""
    from services.settings_of import settings_class, variable

    rows: dict[str, dict[str, Any]] = {}
    for service in services:
        for name, field in settings_class(service).model_fields.items():
            row: dict[str, Any] = {
                "variable": variable(name),
                "services": [service],
                "required": field.is_required(),
                "default": _default(field),
                "secret": "Secret" in str(field.annotation),
                "meaning": field.description or "",
            }
            known = rows.setdefault(row["variable"], row)
            if known is not row:
                known["services"].append(service)
    return sorted(rows.values(), key=lambda row: row["variable"])


def _default(field: "FieldInfo") -> str | None:
    if field.is_required() or field.default is None:
        return None
    return str(field.get_default(call_default_factory=True, validated_data={}))


def _print(rows: list[dict[str, Any]]) -> None:
    """Print each variable with its default and readers, and what it means below: no width fits."""
    for row in rows:
        default = "required" if row["required"] else f"default {row['default'] or 'none'}"
        secret = ", secret" if row["secret"] else ""
        readers = "every service" if len(row["services"]) == len(SERVICES) else row["services"]
        who = readers if isinstance(readers, str) else ", ".join(readers)
        typer.echo(f"{row['variable']}  ({default}{secret}; {who})\n    {row['meaning']}")
