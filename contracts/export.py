"""The JSON Schemas of all that travels: `tollgate schemas` writes them to `schemas/`.

They are made from the classes, committed, and compared with what was released
(`contracts.compatibility`). Draft 2020-12; what a schema forbids, the classes refuse.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from typing_extensions import override

from contracts.decoding import Registry
from contracts.deployer.logs import LOGS_VERSION, LogChunk
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.registry import REGISTRY

HOME: Final = Path(__file__).parent
SCHEMAS: Final = HOME / "schemas"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ENVELOPE_VERSION: Final = 1

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Contract:
    """One thing that is agreed on.

    `name` is a message's CloudEvents type, or the like for what is no event; `path` is where its
    schema and its example lie below their folders; `subject` is the NATS subject it is sent to,
    and `sent` whether it is sent already.
    """

    name: str
    path: str
    subject: str
    schema: JsonObject
    version: int = 1
    sent: bool = True


def contracts_of(registry: Registry) -> list[Contract]:
    """Return every contract: the envelope, the log chunk, and each message, by its path."""
    found = [_of_event(event) for event in registry.events.values()]
    found += [
        Contract(
            name=f"tollgate.envelope.v{ENVELOPE_VERSION}",
            path=f"envelope.v{ENVELOPE_VERSION}.json",
            subject="",
            schema=_envelope_schema(),
        ),
        Contract(
            name=f"tollgate.deployer.log_chunk.v{LOGS_VERSION}",
            path=f"deployer/log_chunk.v{LOGS_VERSION}.json",
            subject=f"tollgate.logs.v{LOGS_VERSION}.{{build_id}}",
            schema=_schema(LogChunk, f"urn:tollgate:schema:deployer:log_chunk:v{LOGS_VERSION}"),
        ),
    ]
    return sorted(found, key=lambda contract: contract.path)


def text_of(value: JsonObject) -> str:
    """Return JSON as it is committed: indented, in the order given, with a newline at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def drift(contracts: Sequence[Contract], folder: Path) -> dict[str, str | None]:
    """Return what a folder of schemas should hold and does not: path → text, none to delete it."""
    wanted: dict[str, str | None] = {c.path: text_of(c.schema) for c in contracts}
    found = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in folder.rglob("*.json")
    }
    changed = {path: text for path, text in wanted.items() if found.get(path) != text}
    return changed | dict.fromkeys(found.keys() - wanted.keys())


def write(contracts: Sequence[Contract], folder: Path) -> list[str]:
    """Make a folder of schemas what it should be; return which files changed."""
    changes = drift(contracts, folder)
    for path, text in changes.items():
        file = folder / path
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return sorted(changes)


class _AsSent(GenerateJsonSchema):
    """Says what is sent: every field is there, those with a default too, unless it is left out.

    Titles that only repeat a field's name are left out, and what a thing is comes first.
    """

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    @override
    def field_is_required(self, field: Any, *_arguments: Any, **_keywords: Any) -> bool:
        return field.get("serialization_exclude_if") is None

    @override
    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return _ordered(value) if parent_key is None else value


_FIRST: Final[tuple[str, ...]] = ("title", "description", "type")
_LAST: Final[tuple[str, ...]] = ("$defs",)
_NAMED_SCHEMAS: Final = ("properties", "$defs", "patternProperties")
_VALUES: Final = ("default", "const", "enum", "examples")


def _words_first(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_words_first(item) for item in schema]
    return _ordered(schema) if isinstance(schema, dict) else schema


def _ordered(schema: JsonObject) -> JsonObject:
    """Return a schema with its keywords in the order in which people read."""
    names = [name for name in _FIRST if name in schema]
    names += sorted(name for name in schema if name not in _FIRST + _LAST)
    names += [name for name in _LAST if name in schema]
    return {name: _ordered_keyword(name, schema[name]) for name in names}


def _ordered_keyword(name: str, value: Any) -> Any:
    if name in _VALUES:
        return value
    if name in _NAMED_SCHEMAS:
        keys = sorted(value) if name == "$defs" else list(value)
        return {key: _words_first(value[key]) for key in keys}
    return _words_first(value)


def _of_event(event: type[Event]) -> Contract:
    return Contract(
        name=event.type_name(),
        path=f"{event.service}/{event.fact}.v{event.contract_version}.json",
        subject=event.bus_subject(),
        schema=_schema(event, event.schema_id()),
        version=event.contract_version,
        sent=event.sent,
    )


def _envelope_schema() -> JsonObject:
    schema = _schema(Envelope, f"urn:tollgate:schema:envelope:v{ENVELOPE_VERSION}")
    schema["title"] = "Envelope"
    schema["properties"]["data"] = {
        "type": "object",
        "description": "The message, as the schema called by `dataschema` says.",
    }
    del schema["$defs"]
    return schema


def _schema(model: type[BaseModel], schema_id: str) -> JsonObject:
    schema = model.model_json_schema(schema_generator=_AsSent)
    named: JsonObject = {"$schema": DIALECT, "$id": schema_id}
    return named | schema


def main() -> int:
    """Write the schemas, and tell which files changed."""
    for path in write(contracts_of(REGISTRY), SCHEMAS):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
