"""A golden example of every version of every message is kept for ever, and can be read for ever."""

import json

import msgspec
import pytest
from jsonschema import Draft202012Validator

from contracts import export
from contracts.deployer.logs import LogChunk
from contracts.envelope import Wire
from contracts.export import contracts_of
from contracts.registry import EVENTS, REGISTRY

EXAMPLES = export.HOME / "examples"
CONTRACTS = {contract.name: contract for contract in contracts_of(REGISTRY)}
ENVELOPE = Draft202012Validator(CONTRACTS["tollgate.envelope.v1"].schema)


def example(name: str) -> str:
    return (EXAMPLES / CONTRACTS[name].path).read_text(encoding="utf-8")


def without_spaces(text: str) -> bytes:
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).encode()


def test_every_contract_has_an_example_and_every_example_a_contract() -> None:
    found = {
        file.relative_to(EXAMPLES).as_posix() for file in EXAMPLES.rglob("*") if file.is_file()
    }
    assert found == {contract.path for contract in CONTRACTS.values()}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_example_fits_the_schemas_of_the_envelope_and_of_its_message(name: str) -> None:
    message = json.loads(example(name))
    ENVELOPE.validate(message)
    Draft202012Validator(CONTRACTS[name].schema).validate(message["data"])
    assert message["type"] == name


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_example_is_told_again_byte_for_byte(name: str) -> None:
    canonical = without_spaces(example(name))
    assert REGISTRY.decode_as_sent(name, canonical).to_bytes() == canonical


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_example_is_sent_as_it_would_be_told(name: str) -> None:
    """What the runtime sends is put together by another writer."""
    envelope = REGISTRY.decode_as_sent(name, without_spaces(example(name)))
    attributes = {field: getattr(envelope, field) for field in Wire.__struct_fields__}
    for field in ("factversion", "facthash", "factactor", "factcause"):
        attributes[field] = msgspec.UNSET if attributes[field] is None else attributes[field]
    data = msgspec.Raw(envelope.data.model_dump_json().encode())
    assert Wire(**(attributes | {"data": data})).to_bytes() == envelope.to_bytes()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_example_reaches_readers_as_the_newest_version(name: str) -> None:
    envelope = REGISTRY.decode(name, example(name).encode())
    assert type(envelope.data) is REGISTRY.newest(name)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_example_is_a_believable_message(name: str) -> None:
    envelope = REGISTRY.decode_as_sent(name, example(name).encode())
    if envelope.data.kind == "request":
        assert envelope.sequence == 1
        assert envelope.correlationid == envelope.data.request_id
        assert envelope.subject == f"request-{envelope.data.request_id}"
    assert "foo" not in example(name)
    assert "example.org" not in example(name)


def test_the_example_of_a_log_chunk_is_told_again_byte_for_byte() -> None:
    text = example("tollgate.deployer.log_chunk.v1")
    Draft202012Validator(CONTRACTS["tollgate.deployer.log_chunk.v1"].schema).validate(
        json.loads(text)
    )
    assert LogChunk.model_validate_json(text).model_dump_json().encode() == without_spaces(text)


def test_the_example_of_an_envelope_fits_its_schema() -> None:
    ENVELOPE.validate(json.loads(example("tollgate.envelope.v1")))
