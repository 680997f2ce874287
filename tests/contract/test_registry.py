"""Who says what to whom adds up: no message without a producer, a reader and a version."""

import re
from pathlib import Path

import pytest

from contracts import registry
from contracts.decoding import UnknownTypeError
from contracts.registry import (
    EVENTS,
    FOLLOWS,
    MODULES,
    REQUESTS,
    SERVICES,
    classes_in,
    consumers,
    decode,
    type_of_subject,
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_holds_one_service_and_one_version(module: object) -> None:
    name = re.fullmatch(r"contracts\.([a-z]+)\.v([0-9]+)", getattr(module, "__name__"))  # noqa: B009
    assert name is not None
    service, version = name[1], int(name[2])
    for cls in (cls for cls in EVENTS.values() if cls.__module__ == name[0]):
        assert (cls.service, cls.contract_version) == (service, version)


def test_every_module_of_messages_is_registered() -> None:
    home = Path(registry.__file__).parent
    found = {
        f"contracts.{file.parent.name}.{file.stem}"
        for file in home.glob("*/v*.py")
        if re.fullmatch(r"v[0-9]+", file.stem)
    }
    assert found == {module.__name__ for module in MODULES}


def test_every_class_of_a_module_is_registered_under_its_type() -> None:
    classes = [cls for module in MODULES for cls in classes_in(module)]
    assert {cls.type_name(): cls for cls in classes} == dict(EVENTS)
    assert len(classes) == len(EVENTS)


def test_every_service_says_only_what_is_its_own() -> None:
    assert {cls.service for cls in EVENTS.values()} == set(SERVICES)
    assert set(FOLLOWS) == set(REQUESTS) == set(SERVICES)


def test_what_is_followed_is_published() -> None:
    published = {(cls.service, cls.kind) for cls in EVENTS.values()}
    followed = {pair for pairs in FOLLOWS.values() for pair in pairs}
    assert followed <= published


def test_nobody_follows_themselves() -> None:
    for service, pairs in FOLLOWS.items():
        assert service not in {producer for producer, _ in pairs}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_message_has_a_reader(name: str) -> None:
    assert consumers(EVENTS[name])


def test_every_request_is_answered_by_exactly_one_service() -> None:
    requests = [cls for cls in EVENTS.values() if cls.kind == "request"]
    answered = [cls for classes in REQUESTS.values() for cls in classes]
    assert sorted(cls.type_name() for cls in requests) == sorted(
        cls.type_name() for cls in answered
    )
    for service, classes in REQUESTS.items():
        assert not classes or ("gateway", "request") in FOLLOWS[service]


def test_who_answers_requests_can_refuse_them_where_the_gateway_hears_it() -> None:
    for service, classes in REQUESTS.items():
        if classes:
            assert f"tollgate.{service}.request_refused.v1" in EVENTS
            assert (service, "refusal") in FOLLOWS["gateway"]


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_subject_leads_back_to_its_type(name: str) -> None:
    cls = EVENTS[name]
    assert type_of_subject(cls.bus_subject()) == name
    assert cls.bus_subject().split(".")[2] == cls.kind


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_names_are_plain(name: str) -> None:
    cls = EVENTS[name]
    assert re.fullmatch(r"[a-z]+", cls.service)
    assert re.fullmatch(r"[a-z]+", cls.kind)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.fact)


@pytest.mark.parametrize("subject", ["", "tollgate", "tollgate.logs.v1.build-1", "a.b.c.d.e.f"])
def test_a_subject_that_carries_no_message_is_refused(subject: str) -> None:
    with pytest.raises(UnknownTypeError):
        type_of_subject(subject)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnknownTypeError):
        decode("tollgate.ledger.gold_found.v1", b"{}")
