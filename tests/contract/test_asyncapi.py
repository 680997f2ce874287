"""The AsyncAPI document tells who sends and receives everything; AsyncAPI's parser agrees."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from contracts import asyncapi
from contracts.asyncapi import LOG_CHUNK
from contracts.registry import EVENTS, FOLLOWS, SERVICES, consumers
from contracts.subjects import stream_of_subject
from runtime.bus_topology import consumers as durable_consumers
from runtime.bus_topology import streams
from services.wiring import TOPOLOGY
from tests.support.npm import answers, installs

HOME: Final = Path(__file__).parent / "asyncapi"
DOCUMENT: Final[dict[str, Any]] = json.loads(asyncapi.text())
Check = Callable[[dict[str, Any]], dict[str, list[str]]]


@pytest.fixture(scope="module")
def parser() -> Check:
    """AsyncAPI's own parser, at the version of its lock file."""
    installs(HOME)
    return partial(answers, HOME, "check.mjs")


def test_asyncapis_own_parser_finds_nothing_wrong(parser: Check) -> None:
    found = parser(DOCUMENT)
    assert found["problems"] == []
    assert set(found["operations"]) == set(DOCUMENT["operations"])


def _without_a_channel(document: dict[str, Any]) -> None:
    del document["channels"]["ledger.wallet.hold_placed.v1"]


def _message_of_another_channel(document: dict[str, Any]) -> None:
    operations = document["operations"]
    operations["ledger.sends.ledger.hold_placed.v1"]["messages"] = operations[
        "ledger.sends.ledger.hold_settled.v1"
    ]["messages"]


def _unknown_action(document: dict[str, Any]) -> None:
    document["operations"]["ledger.sends.ledger.hold_placed.v1"]["action"] = "shout"


@pytest.mark.parametrize(
    "breach", [_without_a_channel, _message_of_another_channel, _unknown_action]
)
def test_the_parser_would_find_what_is_wrong(
    parser: Check, breach: Callable[[dict[str, Any]], None]
) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    breach(document)
    assert parser(document)["problems"] != []


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for name, inner in value.items():
            if name != "examples":
                yield from _references(inner)
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(DOCUMENT):
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


@pytest.mark.parametrize("key", sorted(DOCUMENT["components"]["messages"]))
def test_every_example_fits_its_payload(key: str) -> None:
    schema = {
        "$ref": f"#/components/messages/{key}/payload",
        "components": DOCUMENT["components"],
    }
    for example in DOCUMENT["components"]["messages"][key]["examples"]:
        Draft202012Validator(schema).validate(example["payload"])


def test_an_example_of_another_message_does_not_fit() -> None:
    messages = DOCUMENT["components"]["messages"]
    settled = messages["ledger.hold_settled.v1"]["examples"][0]["payload"]
    schema = {
        "$ref": "#/components/messages/ledger.hold_placed.v1/payload",
        "components": DOCUMENT["components"],
    }
    assert not Draft202012Validator(schema).is_valid(settled)


def test_there_is_a_channel_for_every_subject() -> None:
    subjects = {cls.bus_subject() for cls in EVENTS.values()} | {"tollgate.logs.v1.{build_id}"}
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == subjects


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_message_is_sent_by_its_producer_and_received_by_all_who_follow_it(name: str) -> None:
    cls = EVENTS[name]
    key = f"{cls.service}.{cls.fact}.v{cls.contract_version}"
    operations = {
        operation
        for operation, said in DOCUMENT["operations"].items()
        if said["channel"]["$ref"].endswith(cls.bus_subject().removeprefix("tollgate."))
    }
    senders = {f"{cls.service}.sends.{key}"} if cls.sent else set()
    assert operations == senders | {f"{reader}.receives.{key}" for reader in consumers(cls)}


def test_each_operation_is_secured_as_the_service_that_carries_it_out() -> None:
    for operation, said in DOCUMENT["operations"].items():
        service = operation.split(".")[0]
        assert said["security"] == [{"$ref": f"#/components/securitySchemes/{service}"}]
        assert said["tags"] == [{"name": service}]
    assert set(DOCUMENT["components"]["securitySchemes"]) == set(SERVICES)


def test_the_streams_it_names_are_those_of_the_bus() -> None:
    kept = {str(stream.name): stream.subjects or [] for stream in streams(TOPOLOGY)}
    for channel in DOCUMENT["channels"].values():
        subject = channel["address"].replace("{build_id}", "b-1")
        stream = channel["x-jetstream-stream"]
        assert stream == stream_of_subject(subject)
        assert any(subject.startswith(kind.removesuffix(">")) for kind in kept[stream]), subject


def test_the_queues_it_names_are_the_durable_consumers_of_the_bus() -> None:
    durable = {
        (stream, str(consumer.durable_name)) for stream, consumer in durable_consumers(TOPOLOGY)
    }
    named = {
        (_stream_of(said), said["bindings"]["nats"]["queue"])
        for operation, said in DOCUMENT["operations"].items()
        if said["action"] == "receive"
    }
    assert named == durable
    assert {service for _, service in named} == {name for name, pairs in FOLLOWS.items() if pairs}


def _stream_of(operation: dict[str, Any]) -> str:
    channel = operation["channel"]["$ref"].removeprefix("#/channels/")
    stream: str = DOCUMENT["channels"][channel]["x-jetstream-stream"]
    return stream


def test_logs_are_told_apart_from_facts() -> None:
    assert DOCUMENT["channels"][LOG_CHUNK]["x-jetstream-stream"] == "TOLLGATE_LOGS"
    assert DOCUMENT["components"]["messages"][LOG_CHUNK]["contentType"] == "application/json"


def test_the_document_is_the_same_each_time() -> None:
    assert asyncapi.text() == asyncapi.text()
