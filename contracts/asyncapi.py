"""The AsyncAPI 3 document of the whole system: `tollgate asyncapi` prints it.

One document for five applications: each operation names the service that sends or receives. It is
made from the registry, which knows producers and consumers of every message, and holds the golden
examples. FastStream's own generator describes the handlers of one application and its single
broker; facts are not consumed through such handlers (see docs/adr/0003), so it has nothing to say
of them.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from contracts import export
from contracts.events import Event
from contracts.export import Contract, JsonObject, contracts_of
from contracts.registry import REGISTRY, SERVICES, consumers
from contracts.subjects import LOG_STREAM, stream_of_subject

CLOUD_EVENT: Final = "application/cloudevents+json"
ENVELOPE: Final = "envelope.v1"
LOG_CHUNK: Final = "deployer.log_chunk.v1"
NATS_BINDING: Final = "0.1.0"
_INFO: Final = {
    "title": "Tollgate",
    "version": "1.0.0",
    "description": (
        "Everything that Tollgate's five services say to each other. They share nothing and call "
        "nobody: all that passes between them is on these channels.\n\n"
        "Each fact is a CloudEvent in structured JSON on NATS JetStream. `partitionkey` is the "
        "stream a fact belongs to and `sequence` its number there, without a gap; delivery is at "
        "least once, and readers put the facts of a stream in order by that number."
    ),
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
}


def document(examples: Mapping[str, JsonObject]) -> JsonObject:
    """Return the document; `examples` has the golden example of every contract by its path."""
    contracts = {_key(contract.path): contract for contract in contracts_of(REGISTRY)}
    events = {
        key: REGISTRY.events[contract.name]
        for key, contract in contracts.items()
        if contract.name in REGISTRY.events
    }
    channels = {_channel_key(event): _channel(key, event) for key, event in events.items()}
    operations: JsonObject = {}
    for key, event in events.items():
        operations |= _operations(key, event)
    messages = {
        key: _message(contracts[key], event, examples[contracts[key].path])
        for key, event in events.items()
    }
    log_chunk = contracts[LOG_CHUNK]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:tollgate",
        "info": _INFO,
        "defaultContentType": CLOUD_EVENT,
        "servers": {"nats": _server()},
        "channels": channels | {LOG_CHUNK: _log_channel(log_chunk)},
        "operations": operations | _log_operations(),
        "components": {
            "messages": messages | {LOG_CHUNK: _log_message(log_chunk, examples[log_chunk.path])},
            "schemas": _schemas(contracts),
            "correlationIds": {
                "correlation": {
                    "description": "The request, or the first cause, that all this came from.",
                    "location": "$message.payload#/correlationid",
                }
            },
            "securitySchemes": {
                service: {
                    "type": "userPassword",
                    "description": f"The NATS user of the {service}: no other may send as it.",
                }
                for service in SERVICES
            },
        },
    }


def _key(path: str) -> str:
    """Return `ledger.hold_placed.v1` for `ledger/hold_placed.v1.json`."""
    return path.removesuffix(".json").replace("/", ".")


def _reference(*steps: str) -> JsonObject:
    return {"$ref": "/".join(("#", *steps))}


def _channel_key(event: type[Event]) -> str:
    return event.bus_subject().removeprefix("tollgate.")


def _server() -> JsonObject:
    return {
        "host": "{address}",
        "protocol": "nats",
        "description": "NATS with JetStream. Each service has a user that may only do its own.",
        "variables": {
            "address": {"default": "127.0.0.1:4222", "description": "Host and port of NATS."}
        },
        "security": [_reference("components", "securitySchemes", name) for name in SERVICES],
    }


def _channel(key: str, event: type[Event]) -> JsonObject:
    stream = stream_of_subject(event.bus_subject())
    return {
        "address": event.bus_subject(),
        "messages": {key: _reference("components", "messages", key)},
        "description": f"In a stream `{event.kind}-<id>` of the {event.service}.",
        "tags": [{"name": event.service}, {"name": f"{event.service}.{event.kind}"}],
        "x-jetstream-stream": stream,
    }


def _operations(key: str, event: type[Event]) -> JsonObject:
    """Return who sends a message, unless it is not sent yet, and all who receive it."""
    channel = _channel_key(event)
    found: JsonObject = {}
    if event.sent:
        found[f"{event.service}.sends.{key}"] = _operation("send", event.service, channel, key)
    for service in consumers(event):
        found[f"{service}.receives.{key}"] = _operation("receive", service, channel, key)
    return found


def _operation(action: str, service: str, channel: str, key: str) -> JsonObject:
    operation: JsonObject = {
        "action": action,
        "channel": _reference("channels", channel),
        "messages": [_reference("channels", channel, "messages", key)],
        "tags": [{"name": service}],
        "security": [_reference("components", "securitySchemes", service)],
    }
    if action == "receive":
        # The durable consumer is shared by a service's replicas, as a queue group would be.
        operation["bindings"] = {"nats": {"queue": service, "bindingVersion": NATS_BINDING}}
    return operation


def _message(contract: Contract, event: type[Event], example: JsonObject) -> JsonObject:
    said: JsonObject = {
        "type": {"const": event.type_name()},
        "source": {"const": f"/tollgate/{event.service}"},
        "dataschema": {"const": event.schema_id()},
        "data": _reference("components", "schemas", _key(contract.path)),
    }
    envelope = _reference("components", "schemas", ENVELOPE)
    return {
        "name": event.type_name(),
        "title": event.__name__,
        "summary": _first_line(contract),
        "contentType": CLOUD_EVENT,
        "correlationId": _reference("components", "correlationIds", "correlation"),
        "headers": _headers("The CloudEvent's id: JetStream stores each once."),
        "payload": {"allOf": [envelope, {"type": "object", "properties": said}]},
        "examples": [{"name": "golden", "payload": example}],
    }


def _headers(meaning: str) -> JsonObject:
    return {
        "type": "object",
        "required": ["Nats-Msg-Id"],
        "properties": {"Nats-Msg-Id": {"type": "string", "description": meaning}},
    }


def _first_line(contract: Contract) -> str:
    description: str = contract.schema["description"]
    return description.partition("\n")[0]


def _log_channel(contract: Contract) -> JsonObject:
    return {
        "address": contract.subject,
        "parameters": {"build_id": {"description": "The build that prints."}},
        "messages": {LOG_CHUNK: _reference("components", "messages", LOG_CHUNK)},
        "description": "What builds print: much, bounded, gone after a day, and no facts.",
        "tags": [{"name": "deployer"}, {"name": "logs"}],
        "x-jetstream-stream": LOG_STREAM,
    }


def _log_operations() -> JsonObject:
    return {
        f"deployer.sends.{LOG_CHUNK}": _operation("send", "deployer", LOG_CHUNK, LOG_CHUNK),
        f"gateway.receives.{LOG_CHUNK}": _operation("receive", "gateway", LOG_CHUNK, LOG_CHUNK),
    }


def _log_message(contract: Contract, example: JsonObject) -> JsonObject:
    return {
        "name": contract.name,
        "title": "LogChunk",
        "summary": _first_line(contract),
        "contentType": "application/json",
        "headers": _headers("Build and offset: JetStream stores each chunk once."),
        "payload": _reference("components", "schemas", LOG_CHUNK),
        "examples": [{"name": "golden", "payload": example}],
    }


def _schemas(contracts: Mapping[str, Contract]) -> JsonObject:
    """Return all schemas with their inner definitions beside them, as AsyncAPI's tools want it.

    Classes of one service and version share definitions, so `ledger.v1.Hold` stands here once.
    """
    schemas: JsonObject = {}
    for key, contract in contracts.items():
        scope = ".".join((key.split(".")[0], f"v{contract.version}"))
        inner = contract.schema.get("$defs", {})
        outer = {
            name: value
            for name, value in contract.schema.items()
            if name not in {"$schema", "$id", "$defs"}
        }
        for name, definition in inner.items():
            place, moved = f"{scope}.{name}", _moved(definition, scope)
            if schemas.setdefault(place, moved) != moved:
                raise ValueError(f"two definitions are called {place}")
        schemas[key] = {"x-schema-id": contract.schema["$id"]} | _moved(outer, scope)
    return dict(sorted(schemas.items()))


def _moved(value: Any, scope: str) -> Any:
    """Return a schema whose references lead to where its definitions are now."""
    if isinstance(value, list):
        return [_moved(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"#/components/schemas/{scope}.{item.removeprefix('#/$defs/')}"
        if name == "$ref"
        else _moved(item, scope)
        for name, item in value.items()
    }


def text() -> str:
    """Return the document as JSON text, the same each time."""
    folder = export.HOME / "examples"
    examples = {
        contract.path: json.loads((folder / contract.path).read_bytes())
        for contract in contracts_of(REGISTRY)
    }
    return export.text_of(document(examples))


def main() -> int:
    """Print the document."""
    sys.stdout.write(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
