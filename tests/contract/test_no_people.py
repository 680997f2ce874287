"""Names and e-mail addresses never enter an event, and secrets only encrypted."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.export import Contract, contracts_of
from contracts.registry import REGISTRY

OF_PEOPLE = re.compile(
    r"(^|_)(e?mail|phone|surname|birth|postal|street|first_name|last_name|full_name|nick_?name"
    r"|(user|partner|agent|payee|owner|person|display|customer|account)_name)(_|$)"
)
OF_SECRETS = re.compile(
    r"(^|_)(password|passphrase|secret|token|credentials?|private_key|api_key)(_|$)"
)

NAMES_OF_THINGS = {"Definition", "Variable", "Output", "ModuleReport"}
"""Definitions whose `name` is a module's, a variable's or an output's, never a person's."""


def definitions(contract: Contract) -> Iterator[tuple[str, dict[str, Any]]]:
    yield contract.schema["title"], contract.schema
    yield from contract.schema.get("$defs", {}).items()


CONTRACTS = contracts_of(REGISTRY)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_no_field_is_for_a_persons_name_or_address(contract: Contract) -> None:
    for title, definition in definitions(contract):
        for field in definition.get("properties", {}):
            assert not OF_PEOPLE.search(field), f"{title}.{field}"
            if field == "name":
                assert title in NAMES_OF_THINGS


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_a_secret_is_only_ever_sealed(contract: Contract) -> None:
    for title, definition in definitions(contract):
        for field, schema in definition.get("properties", {}).items():
            if OF_SECRETS.search(field):
                assert field.startswith("sealed_"), f"{title}.{field}"
            if field in {"variables", "outputs"} and title not in NAMES_OF_THINGS:
                assert schema["type"] == "string", f"{title}.{field} travels in the clear"


@pytest.mark.parametrize(
    ("field", "caught"),
    [
        ("email", True),
        ("user_email", True),
        ("partner_name", True),
        ("display_name", True),
        ("module_name", False),
        ("mailbox_count", False),
    ],
)
def test_the_rule_knows_a_persons_field(field: str, caught: bool) -> None:
    assert bool(OF_PEOPLE.search(field)) is caught
