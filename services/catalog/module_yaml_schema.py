"""The JSON Schema of `module.yaml`, for editors and other tools: `tollgate schemas` writes it."""

import json
from pathlib import Path
from typing import Any, Final

from services.catalog.module_yaml import MODULE_FIELDS, REQUIRED

FILE: Final = Path(__file__).parents[2] / "docs" / "module-yaml.schema.json"


def module_yaml_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12.

    The reader refuses what the schema does, and more that no schema can say: a key or variable that
    is there twice, anchors, tags, `50.0` for a whole number, and values that do not fit their type.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tollgate:schema:module-yaml",
        "title": "module.yaml",
        "description": "What a module's author says of it; see docs/module-yaml.md.",
        "type": "object",
        "properties": {name: field.schema for name, field in MODULE_FIELDS.items()},
        "required": list(REQUIRED),
        "additionalProperties": False,
    }


def is_stale() -> bool:
    """Return whether the file in `docs` says something else than the reader."""
    return not FILE.exists() or FILE.read_text(encoding="utf-8") != _text()


def write() -> bool:
    """Write the file in `docs`; return whether it changed."""
    changed = is_stale()
    FILE.write_text(_text(), encoding="utf-8")
    return changed


def _text() -> str:
    return json.dumps(module_yaml_schema(), indent=2, ensure_ascii=False) + "\n"
