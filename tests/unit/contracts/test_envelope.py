"""The envelope says of which stream a message is, what number, and what its sender had seen."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.envelope import (
    SEEN_STREAMS_MAX,
    SEQUENCE_MAX,
    Envelope,
    Wire,
    format_seen,
    parse_seen,
)
from contracts.gateway.v1 import UserReactivated

STREAM_NAMES = st.from_regex(r"[a-z_]{1,10}(-[A-Za-z0-9._:-]{1,40})?", fullmatch=True)


def message(**changed: Any) -> dict[str, Any]:
    attributes = {
        "specversion": "1.0",
        "id": "01a1f830-08e3-7029-887f-91eaaee6ef6d",
        "source": "/tollgate/gateway",
        "type": UserReactivated.type_name(),
        "subject": "user-1",
        "time": "2026-11-21T09:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": UserReactivated.schema_id(),
        "partitionkey": "user-1",
        "sequence": 2,
        "correlationid": "c-1",
        "causationid": None,
        "seen": "",
        "traceparent": None,
        "data": {"user_id": "1", "changed_by": "2"},
    }
    return attributes | changed


def read(**changed: Any) -> Envelope[UserReactivated]:
    return Envelope[UserReactivated].model_validate_json(json.dumps(message(**changed)))


def test_a_message_is_told_as_it_was_read() -> None:
    assert json.loads(read().to_bytes()) == message()


def test_an_envelope_that_was_made_without_checks_is_told_with_all_of_its_data() -> None:
    """The runtime makes them so, of values that are checked already."""
    made: Envelope[Any] = Envelope.model_construct(
        **(
            message(time=datetime(2026, 11, 21, 9, tzinfo=UTC))
            | {"data": UserReactivated(user_id="1", changed_by="2")}
        )
    )
    assert json.loads(made.to_bytes()) == message()


def test_a_message_tells_its_service_and_what_its_sender_had_seen() -> None:
    envelope = read(seen="deployment-7=3,wallet-1=12")
    assert envelope.service == "gateway"
    assert envelope.seen_streams() == {"deployment-7": 3, "wallet-1": 12}


@pytest.mark.parametrize(
    "wrong",
    [
        {"specversion": "0.3"},
        {"id": ""},
        {"source": "gateway"},
        {"source": "/tollgate/gateway/1"},
        {"type": "gateway.user_reactivated"},
        {"type": "tollgate.gateway.user_reactivated.v0"},
        {"subject": "User-1", "partitionkey": "User-1"},
        {"subject": "user-" + "1" * 200, "partitionkey": "user-" + "1" * 200},
        {"partitionkey": "user-2"},
        {"time": "yesterday"},
        {"datacontenttype": "text/plain"},
        {"sequence": 0},
        {"sequence": SEQUENCE_MAX + 1},
        {"sequence": "2"},
        {"sequence": 2.0},
        {"sequence": True},
        {"seen": "wallet-1"},
        {"data": None},
        {"data": {"user_id": "1"}},
        {"data": {"user_id": "1", "changed_by": "2", "reason": "none"}},
        {"priority": 1},
    ],
    ids=str,
)
def test_a_message_that_is_not_as_agreed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**wrong)


@pytest.mark.parametrize("attribute", ["id", "source", "type", "sequence", "correlationid", "data"])
def test_a_message_without_what_it_needs_is_refused(attribute: str) -> None:
    incomplete = {name: value for name, value in message().items() if name != attribute}
    with pytest.raises(ValidationError):
        Envelope[UserReactivated].model_validate_json(json.dumps(incomplete))


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'"text"', b"\xff\xfe", b"1" * 5000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        Envelope[UserReactivated].model_validate_json(body)


@given(st.dictionaries(STREAM_NAMES, st.integers(0, SEQUENCE_MAX), max_size=SEEN_STREAMS_MAX))
def test_seen_reads_as_it_was_written(streams: dict[str, int]) -> None:
    assert parse_seen(format_seen(streams)) == streams


@given(st.dictionaries(STREAM_NAMES, st.integers(0, SEQUENCE_MAX), max_size=8))
def test_seen_is_written_in_one_way_only(streams: dict[str, int]) -> None:
    backwards = dict(reversed(streams.items()))
    assert format_seen(streams) == format_seen(backwards)


@pytest.mark.parametrize(
    "text",
    [
        "wallet-1",
        "wallet-1=",
        "=1",
        "wallet-1=-1",
        "wallet-1=01",
        "wallet-1=1.0",
        "wallet-1=²",
        "wallet-1=٣",
        "wallet-1=1,",
        ",wallet-1=1",
        "wallet-1=1, user-2=1",
        "wallet-1=1,wallet-1=2",
        "Wallet-1=1",
        "wallet-1=99999999999",
        ",".join(f"wallet-{number}=1" for number in range(SEEN_STREAMS_MAX + 1)),
    ],
    ids=lambda text: text[:30],
)
def test_seen_that_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="seen"):
        parse_seen(text)


def test_a_sender_cannot_write_what_no_receiver_could_read() -> None:
    with pytest.raises(ValueError, match="seen names more than 64 streams"):
        format_seen({f"wallet-{number}": 1 for number in range(SEEN_STREAMS_MAX + 1)})
    with pytest.raises(ValueError, match="seen is not a list"):
        format_seen({"wallet-1,user-2": 1})


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=20))
def test_what_is_sent_is_the_same_bytes_at_any_time_and_with_any_text(
    time: datetime, text: str
) -> None:
    made: Envelope[Any] = Envelope.model_construct(
        **(
            message(time=time, correlationid=text)
            | {"data": UserReactivated(user_id="1", changed_by="2")}
        )
    )
    fields = set(Wire.__struct_fields__) - {"factversion", "facthash", "factactor", "factcause"}
    attributes = {field: getattr(made, field) for field in fields}
    data = msgspec.Raw(made.data.model_dump_json().encode())
    assert Wire(**(attributes | {"data": data})).to_bytes() == made.to_bytes()
