"""Readers meet the newest version only, whichever was sent."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import pytest
from pydantic import ValidationError

from contracts.decoding import MisaddressedError, Registry, RegistryError, UnknownTypeError
from contracts.events import Event, UnsendableError, check_sendable
from contracts.types import Id, ShortText
from contracts.upcasters import AnyUpcaster, Upcaster


class Opened(Event):
    """Version 1: an account was opened by somebody, told as text."""

    service: ClassVar[str] = "bank"
    kind: ClassVar[str] = "account"
    fact: ClassVar[str] = "opened"

    account_id: Id
    opened_by: ShortText


class OpenedV2(Event):
    """Version 2: by whom is an id, and there is a branch."""

    service: ClassVar[str] = "bank"
    kind: ClassVar[str] = "account"
    fact: ClassVar[str] = "opened"
    contract_version: ClassVar[int] = 2

    account_id: Id
    opener_id: Id | None
    branch: Id


class OpenedV3(Event):
    """Version 3: an account may have several openers."""

    service: ClassVar[str] = "bank"
    kind: ClassVar[str] = "account"
    fact: ClassVar[str] = "opened"
    contract_version: ClassVar[int] = 3

    account_id: Id
    openers: tuple[Id, ...]
    branch: Id


class Closed(Event):
    """Another fact, with one version."""

    service: ClassVar[str] = "bank"
    kind: ClassVar[str] = "account"
    fact: ClassVar[str] = "closed"

    account_id: Id


def to_v2(old: Opened) -> OpenedV2:
    opener = old.opened_by.removeprefix("clerk ") if old.opened_by.startswith("clerk ") else None
    return OpenedV2(account_id=old.account_id, opener_id=opener, branch="head-office")


def to_v3(old: OpenedV2) -> OpenedV3:
    openers = () if old.opener_id is None else (old.opener_id,)
    return OpenedV3(account_id=old.account_id, openers=openers, branch=old.branch)


V1_TO_V2: Final = Upcaster(Opened, OpenedV2, to_v2)
V2_TO_V3: Final = Upcaster(OpenedV2, OpenedV3, to_v3)


def body_of(event: Event, **changed: Any) -> bytes:
    attributes = {
        "specversion": "1.0",
        "id": "m-1",
        "source": "/tollgate/bank",
        "type": event.type_name(),
        "subject": "account-1",
        "time": "2026-11-21T09:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": event.schema_id(),
        "partitionkey": "account-1",
        "sequence": 7,
        "correlationid": "c-1",
        "causationid": "m-0",
        "seen": "branch-2=4",
        "traceparent": None,
        "data": event.model_dump(mode="json"),
    }
    return json.dumps(attributes | changed).encode()


OLD: Final = Opened(account_id="1", opened_by="clerk 42")


def test_a_message_of_version_1_reaches_readers_as_version_2() -> None:
    registry = Registry([Opened, OpenedV2, Closed], [V1_TO_V2])

    envelope = registry.decode(Opened.type_name(), body_of(OLD))

    assert envelope.data == OpenedV2(account_id="1", opener_id="42", branch="head-office")
    assert envelope.type == "tollgate.bank.opened.v2"
    assert envelope.dataschema == "urn:tollgate:schema:bank:opened:v2"


def test_an_upcast_message_is_still_the_same_message() -> None:
    registry = Registry([Opened, OpenedV2, Closed], [V1_TO_V2])
    sent = registry.decode_as_sent(Opened.type_name(), body_of(OLD))

    newer = registry.decode(Opened.type_name(), body_of(OLD))

    same = set(type(sent).model_fields) - {"type", "dataschema", "data"}
    assert newer.model_dump(include=same) == sent.model_dump(include=same)
    assert sent.data == OLD


def test_what_an_upcast_message_becomes_is_a_valid_message_of_the_new_version() -> None:
    registry = Registry([Opened, OpenedV2], [V1_TO_V2])
    newer = registry.decode(Opened.type_name(), body_of(OLD))
    assert registry.decode(OpenedV2.type_name(), newer.to_bytes()) == newer


def test_upcasters_are_applied_one_after_another() -> None:
    registry = Registry([Opened, OpenedV2, OpenedV3], [V2_TO_V3, V1_TO_V2])
    oldest = registry.decode(Opened.type_name(), body_of(OLD))
    older = registry.decode(OpenedV2.type_name(), body_of(to_v2(OLD)))
    assert (
        oldest.data == older.data == OpenedV3(account_id="1", openers=("42",), branch="head-office")
    )
    assert registry.newest(Opened.type_name()) is OpenedV3


def test_a_message_of_the_newest_version_is_read_as_it_is() -> None:
    registry = Registry([Opened, OpenedV2, Closed], [V1_TO_V2])
    closed = Closed(account_id="1")
    assert registry.decode(Closed.type_name(), body_of(closed)).data == closed
    assert registry.newest(Closed.type_name()) is Closed


def test_an_old_message_must_still_fit_its_own_contract() -> None:
    registry = Registry([Opened, OpenedV2], [V1_TO_V2])
    of_version_2 = {"account_id": "1", "opener_id": "42", "branch": "b"}
    with pytest.raises(ValidationError):
        registry.decode(Opened.type_name(), body_of(OLD, data=of_version_2))


def test_a_type_that_this_release_does_not_know_is_named() -> None:
    with pytest.raises(UnknownTypeError) as caught:
        Registry([Opened]).decode("tollgate.bank.opened.v2", body_of(OLD))
    assert caught.value.type_name == "tollgate.bank.opened.v2"


@pytest.mark.parametrize(
    ("attribute", "changed"),
    [
        ("type", {"type": "tollgate.bank.closed.v1"}),
        ("source", {"source": "/tollgate/thief"}),
        ("dataschema", {"dataschema": "urn:tollgate:schema:bank:opened:v9"}),
        ("kind of stream", {"subject": "wallet-1", "partitionkey": "wallet-1"}),
    ],
)
def test_attributes_that_belong_to_another_type_are_refused(
    attribute: str, changed: dict[str, str]
) -> None:
    with pytest.raises(MisaddressedError) as caught:
        Registry([Opened]).decode(Opened.type_name(), body_of(OLD, **changed))
    assert caught.value.attribute == attribute


class OtherKind(OpenedV3):
    kind: ClassVar[str] = "branch"
    contract_version: ClassVar[int] = 2


class Inherited(Opened):
    contract_version: ClassVar[int] = 2


def never(old: Any) -> Any:
    raise AssertionError(f"{old} must not be upcast by what does not fit")


@pytest.mark.parametrize(
    ("classes", "upcasters", "problem"),
    [
        ([OpenedV2], [], r"versions \[2\] are not 1, 2, 3 and so on"),
        ([Opened, OpenedV3], [], r"versions \[1, 3\] are not 1, 2, 3 and so on"),
        ([Opened, Opened], [], r"versions \[1, 1\] are not"),
        ([Opened, OpenedV2], [], "opened.v1 has 0 upcasters, not 1"),
        ([Opened, OpenedV2], [V1_TO_V2, V1_TO_V2], "opened.v1 has 2 upcasters, not 1"),
        ([Opened], [V1_TO_V2], "opened.v2, which is not registered"),
        ([Opened, Closed], [Upcaster(Opened, Closed, never)], "not the same fact"),
        ([Opened, OpenedV2, OpenedV3], [Upcaster(Opened, OpenedV3, never)], "not the next version"),
        ([Opened, OtherKind], [Upcaster(Opened, OtherKind, never)], "kind of stream"),
        ([Opened, Inherited], [Upcaster(Opened, Inherited, never)], "inherits from the old one"),
    ],
)
def test_classes_and_upcasters_that_do_not_make_a_whole_are_refused(
    classes: Sequence[type[Event]], upcasters: Sequence[AnyUpcaster], problem: str
) -> None:
    with pytest.raises(RegistryError, match=problem):
        Registry(classes, upcasters)


class NotSentYet(OpenedV2):
    sent: ClassVar[bool] = False


def test_a_next_version_is_not_sent_before_its_switch_is_turned_on() -> None:
    event = NotSentYet(account_id="1", opener_id=None, branch="b")
    with pytest.raises(UnsendableError, match=r"opened\.v2 is not sent yet"):
        check_sendable(event, "account-1")
    check_sendable(to_v2(OLD), "account-1")


def test_a_message_is_not_sent_in_a_stream_where_its_readers_would_refuse_it() -> None:
    check_sendable(OLD, "account-1")
    with pytest.raises(UnsendableError, match="is not for accounts-1, but for a account"):
        check_sendable(OLD, "accounts-1")
