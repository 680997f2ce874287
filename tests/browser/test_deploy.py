"""Choosing a module, filling in its form, seeing what it costs, deploying it, and updating it."""

import re
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.visitor import barriers
from tests.support.story import Story, deploy, module, succeeds

NARROW: Final = 360
pytestmark = pytest.mark.timeout(300)
"""The first test waits for the system too, and some deploy."""


def named(page: Page, name: str) -> Any:
    """Return the control of a variable, or of a part of it."""
    return page.locator(f'[name="/variables/{name}"]')


def deployed(stage: Story, page: Page) -> Any:
    """Return the deployment whose page is shown, once it has succeeded."""
    page.wait_for_url(re.compile(r"/deployments/[^/?]+$"))
    return succeeds(stage.user, page.url.rpartition("/")[2])


def test_the_main_job_by_clicking_only(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("user").goes_to("/")
    card = page.locator(".module-card", has_text="Kubernetes cluster")
    expect(card).to_contain_text("120 credits")
    card.get_by_role("link", name="Kubernetes cluster").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kubernetes cluster")
    expect(page.locator("#quote")).to_contain_text("From awarded credits")
    named(page, "nodes").fill("77")
    expect(page.locator("#errors-nodes")).to_have_text("Between 1 and 10 nodes.")
    named(page, "nodes").fill("2")
    expect(page.locator("#errors-nodes")).to_have_text("")
    page.get_by_role("button", name="Next").click()
    named(page, "seconds_per_node").fill("0")
    page.get_by_label("Project").fill("Clicking")
    page.get_by_role("button", name="Deploy").click()
    page.wait_for_url(re.compile(r"/deployments/[^/?]+$"))
    expect(page.locator("main .badge", has_text="Success").first).to_be_visible(timeout=60_000)
    made = deployed(stage, page)
    assert made["variables"] == {"nodes": 2, "seconds_per_node": 0}
    assert made["project"] == "Clicking"
    page.goto(f"/deploy/{made['module_id']}")
    assert page.locator("#projects option").evaluate_all("o => o.map(e => e.value)") == ["Clicking"]


def test_a_variable_of_every_kind_is_stored_as_it_was_entered(
    signs_in: SignIn, stage: Story, every_kind: str
) -> None:
    page = signs_in("user").goes_to(f"/deploy/{every_kind}")
    expect(page.locator("#quote")).to_contain_text("Still to fill in")
    fills_in_texts(page)
    fills_in_numbers(page)
    fills_in_lists(page)
    fills_in_objects(page)
    assert barriers(page) == []
    page.get_by_role("button", name="Deploy").click()
    made = deployed(stage, page)
    assert made["variables"] == {
        "title": "Zoë's",
        "code": "0042",
        "note": "one\ntwo",
        "region": "us",
        "secret": "(sensitive value)",
        "replicas": 3,
        "share": 0.3,
        "enabled": False,
        "window": [2, "monday"],
        "zones": ["b", "c"],
        "ports": [8080, 443],
        "labels": {"a/b ~": ""},
        "owner": {"name": "Ö"},
        "pools": [{"name": "gpu", "size": 2.5, "tags": {"k": "v"}}],
        "rules": {"x": [{"y": ["1"]}]},
        "extra": [1, "1", None],
    }
    assert made["outputs"]["secret_length"]["value"] == len("s3cret")


def fills_in_texts(page: Page) -> None:
    """Fill in the first step."""
    named(page, "title").fill("Zoë's")
    expect(named(page, "code")).to_have_value("007")
    named(page, "code").fill("0042")
    more = page.locator("#variable-note details")
    more.locator("summary").click()
    more.get_by_role("button", name="Enter several lines").click()
    page.locator("textarea[name='/variables/note']").fill("one\ntwo")
    page.locator("#variable-region").get_by_label("us", exact=True).check()
    named(page, "secret").fill("s3cret")
    assert barriers(page) == []
    page.locator("#step-1").get_by_role("button", name="Next").click()


def fills_in_numbers(page: Page) -> None:
    """Fill in the second step."""
    named(page, "replicas").fill("three")
    expect(page.locator("#errors-replicas")).to_contain_text("must be a number")
    named(page, "replicas").fill("3")
    expect(named(page, "share")).to_have_value("0.1")
    named(page, "share").fill("0.30")
    page.locator("#variable-enabled").get_by_label("No (false)").check()
    expect(page.locator("#variable-public").get_by_label("Not set")).to_be_checked()
    expect(named(page, "window/0")).to_have_value("2")
    named(page, "window/1").fill("monday")
    page.locator("#step-2").get_by_role("button", name="Next").click()


def fills_in_lists(page: Page) -> None:
    """Fill in the third step's lists and maps."""
    page.get_by_role("button", name="Remove zones 1").click()
    expect(named(page, "zones/0")).to_have_value("b")
    page.get_by_role("button", name="Add to zones").click()
    expect(named(page, "zones/1")).to_be_focused()
    page.keyboard.type("c")
    for number in ("8080", "443"):
        page.get_by_role("button", name="Add to ports").click()
        expect(page.locator("#variable-ports input:focus")).to_have_count(1)
        page.keyboard.type(number)
    page.get_by_role("button", name="Add to labels").click()
    expect(page.locator("[name='key:/variables/labels/0']")).to_be_focused()
    page.keyboard.type("a/b ~")
    named(page, "labels/0").fill("")
    named(page, "owner/name").fill("Ö")


def fills_in_objects(page: Page) -> None:
    """Fill in what else is in the third step."""
    page.get_by_role("button", name="Add to pools").click()
    expect(named(page, "pools/0/name")).to_be_focused()
    page.keyboard.type("gpu")
    named(page, "pools/0/size").fill("2.50")
    page.get_by_role("button", name="Add to tags").click()
    page.locator("[name='key:/variables/pools/0/tags/0']").fill("k")
    named(page, "pools/0/tags/0").fill("v")
    named(page, "rules").fill('{"x": [{"y": ["1"]}]')
    expect(page.locator("#errors-rules")).to_contain_text("is no JSON")
    named(page, "rules").fill('{"x": [{"y": ["1"]}]}')
    named(page, "extra").fill('[1, "1", null]')
    expect(page.locator("#errors-rules")).to_have_text("")


def test_an_update_begins_with_what_is_deployed_and_keeps_its_secrets(
    signs_in: SignIn, stage: Story, every_kind: str
) -> None:
    given = {
        "title": "Zoë's",
        "note": "one\ntwo",
        "region": "us",
        "secret": "s3cret",
        "replicas": 3,
        "labels": {"a/b ~": ""},
        "owner": {"name": "Ö"},
        "extra": {"a": [1.5, None]},
    }
    made = succeeds(stage.user, deploy(stage.user, {"id": every_kind}, given)["id"])
    page = signs_in("user").goes_to(f"/deployments/{made['id']}/update")
    expect(named(page, "title")).to_have_value("Zoë's")
    expect(page.locator("textarea[name='/variables/note']")).to_have_value("one\ntwo")
    expect(named(page, "secret")).to_have_value("")
    expect(page.locator("#about-secret")).to_contain_text("stays as it is")
    assert "s3cret" not in page.content()
    expect(page.locator("[name='key:/variables/labels/0']")).to_have_value("a/b ~")
    named(page, "title").fill("Zoë")
    expect(page.locator("#quote")).to_contain_text("title")
    expect(page.locator("#quote .warn")).to_have_count(0)
    named(page, "code").fill("0043")
    expect(page.locator("#quote .warn")).to_contain_text("code")
    expect(page.locator("#errors-code")).to_contain_text("may replace")
    assert barriers(page) == []
    page.get_by_role("button", name="Update").click()
    page.wait_for_url(re.compile(r"/deployments/[^/?]+$"))
    again = succeeds(stage.user, made["id"])
    changed = {"title": "Zoë", "code": "0043", "secret": "(sensitive value)"}
    assert again["variables"] == {**given, **changed}
    assert again["outputs"]["secret_length"]["value"] == len("s3cret")


def test_what_is_wrong_is_said_at_its_field_and_what_was_entered_stays(
    signs_in: SignIn, every_kind: str
) -> None:
    page = signs_in("user", scripts=False).goes_to(f"/deploy/{every_kind}")
    named(page, "title").fill("ab")
    named(page, "secret").fill("s3cret")
    named(page, "replicas").fill("3")
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_role("alert")).to_contain_text("The variables are not valid")
    expect(page.locator("#errors-title")).to_have_text("At least three characters.")
    expect(named(page, "title")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#errors-region")).to_have_text("is required")
    expect(named(page, "replicas")).to_have_value("3")
    expect(named(page, "secret")).to_have_value("")
    expect(page.locator("#about-secret")).to_contain_text("Enter it again")
    assert "s3cret" not in page.content()


def test_without_scripts_rows_come_and_go_and_a_module_is_deployed(
    signs_in: SignIn, stage: Story
) -> None:
    page = signs_in("user", scripts=False).goes_to("/deploy")
    page.get_by_role("searchbox", name="Search modules").fill("uptime")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".module-card")).to_have_count(1)
    page.get_by_role("link", name="Uptime alerts").click()
    for number, address in enumerate(("https://a.example/", "x", "https://b.example/")):
        page.get_by_role("button", name="Add to addresses").click()
        named(page, f"addresses/{number}").fill(address)
    page.get_by_role("button", name="Remove addresses 2").click()
    expect(named(page, "addresses/1")).to_have_value("https://b.example/")
    page.get_by_role("button", name="Check what is entered").last.click()
    expect(page.locator("#quote")).not_to_contain_text("Not right yet")
    page.get_by_role("button", name="Deploy").click()
    made = deployed(stage, page)
    assert made["variables"]["addresses"] == ["https://a.example/", "https://b.example/"]


def test_by_keyboard_alone_from_the_modules_to_a_deployment(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("user").goes_to("/deploy")

    def tab_to(what: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", what):
                return
        raise AssertionError(f"no way to {what} by the keyboard")

    tab_to("#f-search")
    page.keyboard.type("starter")
    expect(page.locator(".module-card")).to_have_count(1)
    expect(page).to_have_url(re.compile("search=starter"))
    tab_to(".module-card h2 a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Starter network")
    expect(page.locator("#quote")).to_contain_text("free")
    tab_to("#f-project")
    page.keyboard.type("Keys")
    page.keyboard.press("Enter")
    expect(page.locator("#deploy-button")).to_be_focused()
    page.keyboard.press("Enter")
    assert deployed(stage, page)["project"] == "Keys"


def test_whose_credits_do_not_suffice_is_told_what_to_buy(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("support").goes_to(f"/deploy/{module(stage.user, 'message-queue')['id']}")
    expect(page.locator("#quote")).to_contain_text("You have not enough credits.")
    way_out = page.locator("#quote").get_by_role("link", name="Buy 20 credits")
    assert (way_out.get_attribute("href") or "").startswith("/credits?buy=20")
    expect(page.get_by_role("button", name="Deploy")).to_have_count(0)
    database = module(stage.user, "postgres-database")
    page = signs_in("user").goes_to(f"/deploy/{database['id']}")
    expect(page.locator("#quote")).to_contain_text("purchased credits only")
    expect(page.locator("#quote").get_by_role("link", name="Buy 80 credits")).to_be_visible()


def test_who_is_signed_out_meanwhile_keeps_the_page_until_they_send_it(
    signs_in: SignIn, stage: Story
) -> None:
    visitor = signs_in("user")
    page = visitor.goes_to(f"/deploy/{module(stage.user, 'kubernetes-cluster')['id']}")
    visitor.context.clear_cookies()
    with page.expect_response(re.compile("/signin")):
        named(page, "nodes").fill("4")
    expect(page.locator("#quote")).to_contain_text("120")
    expect(named(page, "nodes")).to_have_value("4")
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_modules_are_pinned_featured_and_found_by_tag(
    signs_in: SignIn, stage: Story, every_kind: str
) -> None:
    page = signs_in("user").goes_to("/deploy")
    pin = page.get_by_role("button", name="Pinned: VPN gateway")
    pin.click()
    expect(page.locator(".module-card").first).to_contain_text("VPN gateway")
    expect(pin).to_have_attribute("aria-pressed", "true")
    assert module(stage.user, "vpn-gateway")["pinned"]
    other = signs_in("admin").goes_to("/deploy")
    other.get_by_role("button", name="Featured: Message queue").click()
    # In the first window, without a reload.
    card = page.locator(".module-card", has_text="Message queue")
    expect(card.get_by_text("Featured", exact=True)).to_be_visible()
    other.get_by_role("button", name="Featured: Message queue").click()
    expect(card.get_by_text("Featured", exact=True)).to_have_count(0)
    page.get_by_role("link", name="vpn", exact=True).click()
    expect(page.locator(".module-card")).to_have_count(1)
    pin.click()
    expect(pin).to_have_attribute("aria-pressed", "false")
    page.get_by_role("link", name="Partner Modules").click()
    card = page.locator(".module-card", has_text="Every kind")
    expect(card).to_contain_text("Ophelia's <i>works</i>")
    page.get_by_label("Search modules").fill("no such thing at all")
    expect(page.get_by_role("heading", name="Nothing fits")).to_be_visible()
