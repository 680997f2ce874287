"""Updating in a browser: to another version, and of a module that was made private since."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Joins, SignIn
from tests.e2e import repositories
from tests.e2e.person import Person
from tests.support.story import Story, deploy, module, succeeds, sync

NAME: Final = "greeting"
PRICE: Final = 20
_MODULE: Final = """\
name: greeting
title: Greeting
description: Says something.
credit_cost: 20
public_access: {public}
variables:
  - {{name: word, update_safe: true}}
"""
_VARIABLE: Final = """\
variable "{name}" {{
  type        = string
  description = "What it says."
}}
"""
_MAIN: Final = """\
output "said" {{
  description = "All of it."
  value       = {value}
}}
"""
NOT_FOUND: Final = 404
PAYMENT_REQUIRED: Final = 402


@dataclass
class Greeting:
    """A partner's module of which versions are published."""

    partner: Person
    folder: Path

    def publishes(self, *, names: tuple[str, ...], public: bool) -> None:
        """Publish a version with these variables."""
        inside = self.folder / NAME
        inside.mkdir(parents=True, exist_ok=True)
        (inside / "module.yaml").write_text(_MODULE.format(public=str(public).lower()))
        (inside / "variables.tf").write_text("".join(_VARIABLE.format(name=n) for n in names))
        value = " + ".join(f"length(var.{name})" for name in names)
        (inside / "main.tf").write_text(_MAIN.format(value=value))
        if not (self.folder / ".git").exists():
            repository = {"url": repositories.committed(self.folder), "branch": "main"}
            self.partner.patches("/api/me", {"repository": repository})
        else:
            repositories.commit(self.folder)
        report = sync(self.partner, "partner")
        assert [each["problems"] for each in report["modules"]] == [[]]

    @property
    def card(self) -> Any:
        """The module in the list, as its partner sees it."""
        return module(self.partner, NAME)


@pytest.fixture(scope="module")
def greeting(stage: Story) -> Iterator[Greeting]:
    """Publish the first version, for everybody."""
    with Person(stage.system.url, "gwen@example.org", secrets.token_hex(12)) as gwen:
        gwen.signs_up()
        stage.admin.patches(f"/api/users/{gwen.id}", {"roles": ["user", "partner"]})
        made = Greeting(gwen, stage.folder / "greetings")
        made.publishes(names=("word",), public=True)
        yield made


def named(page: Page, name: str) -> Any:
    """Return the control of a variable."""
    return page.locator(f'[name="/variables/{name}"]')


def test_whose_credits_went_meanwhile_is_told_only_as_they_deploy(
    signs_in: SignIn, joins: Joins, stage: Story, greeting: Greeting
) -> None:
    """Without scripts nothing tells the page: the refusal comes with what was entered."""
    person = joins("wilma@example.org")
    award = {"user_id": person.id, "credits": PRICE, "reason": "just enough"}
    stage.admin.posts("/api/credits/awards", award)
    page = signs_in(person, scripts=False).goes_to(f"/deploy/{greeting.card['id']}")
    named(page, "word").fill("hello")
    page.get_by_label("Project").fill("Words")
    stage.admin.posts("/api/credits/adjustments", {**award, "credits": -5})
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button", name="Deploy").click()
    assert answered.value.status == PAYMENT_REQUIRED
    expect(page.get_by_role("alert")).to_contain_text("Not enough credits")
    expect(named(page, "word")).to_have_value("hello")
    expect(page.get_by_label("Project")).to_have_value("Words")
    expect(page.get_by_role("link", name="Buy 5 credits")).to_be_visible()
    assert person.gets("/api/deployments")["items"] == []
    stage.admin.posts("/api/credits/awards", {**award, "credits": 5})
    page.get_by_role("button", name="Check what is entered").last.click()
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_text("Greeting is being deployed.")).to_be_visible()


def test_a_deployment_is_updated_to_another_version_and_by_an_admin_though_it_is_private(
    signs_in: SignIn, stage: Story, greeting: Greeting
) -> None:
    made = deploy(stage.user, greeting.card, {"word": "one"})
    succeeds(stage.user, made["id"])
    greeting.publishes(names=("word", "name"), public=True)

    page = signs_in("user").goes_to(f"/deployments/{made['id']}")
    page.get_by_role("link", name="Update", exact=True).click()
    expect(named(page, "word")).to_have_value("one")
    expect(named(page, "name")).to_have_count(0)
    page.get_by_label("Version of the module").select_option("2")
    page.get_by_role("button", name="Choose").click()
    expect(page.get_by_text("Version 1 becomes version 2.")).to_be_visible()
    expect(named(page, "word")).to_have_value("one")
    expect(page.locator("#quote")).to_contain_text("Still to fill in: name")
    page.get_by_role("button", name="Update").click()
    expect(page.locator("#errors-name")).to_have_text("is required")
    named(page, "name").fill("Ada")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_text("The deployment is being updated.")).to_be_visible()
    updated = succeeds(stage.user, made["id"])
    assert (updated["version"], updated["variables"]) == (2, {"word": "one", "name": "Ada"})
    assert updated["outputs"]["said"]["value"] == len("oneAda")

    greeting.publishes(names=("word", "name"), public=False)
    admin = signs_in("admin").page
    answer = admin.goto(f"/deploy/{made['module_id']}")
    assert answer is not None
    assert answer.status == NOT_FOUND
    admin.goto(f"/deployments/{made['id']}")
    admin.get_by_role("link", name="Update", exact=True).click()
    expect(admin.get_by_label("Version of the module")).to_have_count(0)
    expect(named(admin, "name")).to_have_value("Ada")
    named(admin, "word").fill("")
    expect(admin.locator("#quote")).to_contain_text("word")
    named(admin, "word").fill("three")
    admin.get_by_role("button", name="Update").click()
    expect(admin.get_by_text("The deployment is being updated.")).to_be_visible()
    again = succeeds(stage.user, made["id"])
    assert (again["version"], again["variables"]["word"]) == (2, "three")
    others = signs_in("support").page.goto(f"/deployments/{made['id']}/update")
    assert others is not None
    assert others.status == NOT_FOUND
