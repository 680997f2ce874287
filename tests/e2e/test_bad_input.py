"""What is wrong is said, with the name of what is wrong; and it changes nothing."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.invariants import broken
from tests.support.story import (
    Story,
    balance,
    deploy,
    module,
    publish_examples,
    story,
    sync,
    until_ended,
)

pytestmark = [pytest.mark.timeout(180)]


@pytest.fixture
def told(published: Story) -> Iterator[Story]:
    """Give the system, and check that credits and deployments are afterwards what they were."""
    before = balance(published.user), published.admin.lists("/api/deployments", scope="all")
    yield published
    after = balance(published.user), published.admin.lists("/api/deployments", scope="all")
    assert after == before


DEPLOYMENTS = [
    (
        "a variable of the wrong type",
        {"domain": "www.example.org", "cache_minutes": "often"},
        "/variables/cache_minutes",
    ),
    ("a list where a text belongs", {"domain": ["www.example.org"]}, "/variables/domain"),
    (
        "a variable that the module does not have",
        {"domain": "www.example.org", "colour": "red"},
        "/variables/colour",
    ),
    ("a required variable left out", {}, "/variables/domain"),
    (
        "a value that is none of the options",
        {"domain": "www.example.org", "region": "the-moon"},
        "/variables/region",
    ),
    ("a value that the module's validation refuses", {"domain": "EXAMPLE"}, "/variables/domain"),
    (
        "a number out of the validation's bounds",
        {"domain": "www.example.org", "cache_minutes": 1441},
        "/variables/cache_minutes",
    ),
]


@pytest.mark.parametrize(
    ("what", "variables", "pointer"), DEPLOYMENTS, ids=[d[0] for d in DEPLOYMENTS]
)
def test_a_deployment_is_refused_that_names(
    what: str, variables: dict[str, Any], pointer: str, told: Story
) -> None:
    website = module(told.user, "static-website")

    problem = told.user.is_refused(
        "/api/deployments",
        {"module_id": website["id"], "variables": variables},
        status=422,
        code="INVALID_VARIABLES",
    )

    assert [error["pointer"] for error in problem["errors"]] == [pointer], what
    assert all(error["message"] for error in problem["errors"])


def test_a_module_that_does_not_exist_cannot_be_deployed(told: Story) -> None:
    problem = told.user.asks(
        "POST", "/api/deployments", {"module_id": "no-such-module", "variables": {}}, status=404
    ).body

    assert problem["code"]
    assert "no-such-module" in problem["detail"]


AMOUNTS = [-5, 0, 1.5, "5", None, True, 10**30]


@pytest.mark.parametrize("amount", AMOUNTS, ids=[repr(amount) for amount in AMOUNTS])
@pytest.mark.parametrize("path", ["/api/credits/awards", "/api/credits/purchases"])
def test_only_whole_positive_numbers_of_credits_are_taken(
    path: str, amount: Any, told: Story
) -> None:
    body = {"user_id": told.user.id, "credits": amount}
    body |= (
        {"reason": "wrong"}
        if path.endswith("awards")
        else {"price": {"amount_minor": 100, "currency": "USD"}, "reference": "wrong"}
    )

    problem = told.admin.asks("POST", path, body, status=422).body

    assert "/credits" in [error["pointer"] for error in problem["errors"]]


PRICES = [
    ({"amount_minor": -1, "currency": "USD"}, "/price/amount_minor"),
    ({"amount_minor": 10.5, "currency": "USD"}, "/price/amount_minor"),
    ({"amount_minor": 100, "currency": "dollars"}, "/price/currency"),
    ({"amount_minor": 100}, "/price/currency"),
]


@pytest.mark.parametrize(("price", "pointer"), PRICES)
def test_a_price_that_is_none_is_refused(price: dict[str, Any], pointer: str, told: Story) -> None:
    body = {"user_id": told.user.id, "credits": 5, "price": price, "reference": "wrong"}

    problem = told.finance.asks("POST", "/api/credits/purchases", body, status=422).body

    assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize("body", ["{", "", "credits=5", '{"user_id": "x"', "\x00", "[1, 2"])
@pytest.mark.parametrize("path", ["/api/deployments", "/api/credits/awards", "/api/quotes"])
def test_a_body_that_is_not_json_is_refused(path: str, body: str, told: Story) -> None:
    answer = told.admin.client.post(
        path, content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code", "request_id"} <= problem.keys()


def test_an_unknown_field_is_refused_by_name(told: Story) -> None:
    body = {"user_id": told.user.id, "credits": 5, "reason": "x", "colour": "red"}

    problem = told.admin.asks("POST", "/api/credits/awards", body, status=422).body

    assert "/colour" in [error["pointer"] for error in problem["errors"]]


def test_credits_cannot_go_to_somebody_who_does_not_exist(told: Story) -> None:
    body = {"user_id": "nobody", "credits": 5, "reason": "wrong"}

    problem = told.admin.asks("POST", "/api/credits/awards", body, status=422).body

    assert "/user_id" in [error["pointer"] for error in problem["errors"]]


def test_nobody_awards_credits_to_themselves(told: Story) -> None:
    body = {"user_id": told.admin.id, "credits": 5, "reason": "I earned it"}

    told.admin.is_refused("/api/credits/awards", body, status=403, code="SELF_AWARD")


def test_a_user_cannot_award_credits(told: Story) -> None:
    body = {"user_id": told.partner.id, "credits": 5, "reason": "a gift"}

    told.user.is_refused("/api/credits/awards", body, status=403, code="FORBIDDEN")


def test_a_repository_that_does_not_exist_fails_its_sync_with_a_reason(told: Story) -> None:
    nowhere = (told.folder / "nowhere").as_uri()
    told.partner.patches("/api/me", {"repository": {"url": nowhere}})

    report = sync(told.partner, "partner")

    assert report["status"] == "FAILED"
    assert report["modules"] == []
    assert "nowhere" in report["error"]
    assert module(told.user, "static-website")


def test_all_figures_still_agree(told: Story) -> None:
    assert asyncio.run(broken(told.system)) == []


def test_a_missing_terraform_is_said_at_the_start_and_in_the_refused_build(tmp_path: Path) -> None:
    path = _programs_but_terraform(tmp_path / "bin")
    with story(environment={"PATH": str(path)}) as told:
        assert "terraform.not_found" in told.system.up.output
        publish_examples(told)
        told.user.signs_up()
        alerts = module(told.user, "starter-network")
        done = until_ended(told.user, deploy(told.user, alerts, {})["id"])

    assert done["status"] == "FAILED"
    assert "terraform" in done["builds"][0]["error"]["message"]


def _programs_but_terraform(folder: Path) -> Path:
    """Return a folder with everything that PATH offers, except Terraform and OpenTofu."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            link = folder / program.name
            if program.name not in ("terraform", "tofu") and not link.is_symlink():
                link.symlink_to(program)
    return folder
