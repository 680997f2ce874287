"""Deployments in a browser: they are seen as they go on, and acted upon by clicking."""

import re
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.support.story import Story, deploy, module, succeeds, until_ended

SLOW: Final = {"seconds_per_node": 40}


@pytest.fixture(scope="module")
def built(stage: Story) -> Any:
    """Return a deployment that is built, with a log that is longer than its box."""
    award = {"user_id": stage.user.id, "credits": 600, "reason": "for these tests"}
    stage.admin.posts("/api/credits/awards", award)
    wanted = {"seconds_per_node": 0, "nodes": 8}
    card = module(stage.user, "kubernetes-cluster")
    made = deploy(stage.user, card, wanted, project="Harbour")
    return succeeds(stage.user, made["id"])


@pytest.fixture(scope="module")
def failed(stage: Story) -> Any:
    """Return a deployment that failed halfway, so that it owns something."""
    made = deploy(stage.user, module(stage.user, "vpn-gateway"), {})
    ended = until_ended(stage.user, made["id"])
    assert ended["status"] == "FAILED"
    return ended


@pytest.fixture(scope="module")
def cancelled(stage: Story) -> Any:
    """Return a deployment that was cancelled as it was built."""
    made = deploy(stage.user, module(stage.user, "kubernetes-cluster"), SLOW)
    stage.user.asks("POST", f"/api/deployments/{made['id']}/cancel", {}, status=202)
    return until_ended(stage.user, made["id"])


def status_of(page: Page) -> Any:
    """Return the status beside the heading."""
    return page.locator("#state .badge").first


@pytest.mark.usefixtures("built")
def test_other_windows_see_a_deployment_go_on_and_be_cancelled(
    signs_in: SignIn, stage: Story
) -> None:
    overview, window = signs_in("user"), signs_in("user")
    everybodys = signs_in("support").goes_to("/deployments?scope=all")
    listed = overview.goes_to("/deployments")
    expect(listed.get_by_role("link", name="kubernetes-cluster")).not_to_have_count(0)
    credits_line = listed.locator("#credits-line strong")
    before = int(credits_line.inner_text().replace(",", ""))
    made = deploy(stage.user, module(stage.user, "kubernetes-cluster"), SLOW)
    row = listed.get_by_role("row", name=made["id"])
    expect(row).to_contain_text("Provisioning")
    expect(credits_line).to_have_text(f"{before - 120:,}")
    page = window.goes_to(f"/deployments/{made['id']}")
    lines = page.get_by_role("region", name="Log lines")
    expect(lines).to_contain_text("node 0 is starting")
    expect(page.get_by_text("Held until the build ends")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("It is cancelled.")).to_be_visible()
    expect(status_of(page)).to_have_text("Cancelled")
    expect(row).to_contain_text("Cancelled")
    expect(credits_line).to_have_text(f"{before:,}")
    expect(everybodys.get_by_role("row", name=made["id"])).to_contain_text("Cancelled")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_page_that_is_older_than_the_deployment_says_so(signs_in: SignIn, stage: Story) -> None:
    made = deploy(stage.user, module(stage.user, "kubernetes-cluster"), SLOW)
    page = signs_in("user", scripts=False).goes_to(f"/deployments/{made['id']}")
    stage.user.asks("POST", f"/api/deployments/{made['id']}/cancel", {}, status=202)
    until_ended(stage.user, made["id"])
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("not possible any more")
    expect(page.get_by_role("alert")).to_contain_text("cancelled by now")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_what_failed_says_why_first_and_is_tried_again_and_destroyed(
    signs_in: SignIn, failed: Any
) -> None:
    page = signs_in("user").goes_to(f"/deployments/{failed['id']}")
    expect(page.locator("#state")).to_contain_text(failed["error"]["message"].splitlines()[0])
    expect(page.locator("#state")).to_contain_text("It owns resources all the same")
    expect(page.get_by_text("Nothing was spent")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("It is tried again.")).to_be_visible()
    expect(page.get_by_role("table").get_by_role("row", name="Create")).to_have_count(2)
    expect(status_of(page)).to_have_text("Failed")
    page.get_by_text("Destroy", exact=True).click()
    confirm = page.get_by_label("Type vpn-gateway to confirm")
    confirm.fill("vpn")
    page.get_by_role("button", name="Destroy it").click()
    expect(confirm).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was destroyed")
    confirm.fill("vpn-gateway")
    page.get_by_role("button", name="Destroy it").click()
    expect(status_of(page)).to_have_text("Destroyed")
    expect(page.get_by_text("What you can do")).to_have_count(0)


def test_the_log_is_searched_and_left_alone_while_it_is_read(signs_in: SignIn, built: Any) -> None:
    page = signs_in("user").goes_to(f"/deployments/{built['id']}")
    lines, jump = page.locator("[data-log-lines]"), page.get_by_role("button", name="Jump to end")
    expect(page.get_by_text("Complete", exact=True)).to_be_visible()
    expect(jump).to_be_hidden()
    unseen = "each => each.scrollHeight - each.scrollTop - each.clientHeight"
    assert lines.evaluate("each => each.scrollTop") > 0
    assert lines.evaluate(unseen) < 2  # noqa: PLR2004 - pixels, of which there are halves
    page.get_by_label("Search the log").fill("is ready")
    expect(page.locator("#log-count")).to_have_text(re.compile(r"^1 of \d+$"))
    total = page.locator("#log-count").inner_text().split()[-1]
    assert page.locator("#log mark").count() == int(total)
    page.get_by_role("button", name="Next match").click()
    expect(page.locator("#log-count")).to_have_text(f"2 of {total}")
    page.get_by_label("Search the log").press("Shift+Enter")
    page.get_by_label("Search the log").press("Shift+Enter")
    expect(page.locator("#log-count")).to_have_text(f"{total} of {total}")
    page.get_by_label("Search the log").fill("no line has this")
    expect(page.locator("#log-count")).to_have_text("No match")
    lines.evaluate("each => { each.scrollTop = 0; }")
    expect(jump).to_be_visible()
    jump.click()
    expect(jump).to_be_hidden()
    assert lines.evaluate(unseen) < 2  # noqa: PLR2004 - pixels, of which there are halves
    page.get_by_role("link", name="Whole log").click()
    expect(page.locator("body")).to_contain_text("Apply complete")


def test_outputs_are_copied_and_the_module_is_rated_by_keyboard(
    signs_in: SignIn, stage: Story, built: Any
) -> None:
    visitor = signs_in("user")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visitor.goes_to(f"/deployments/{built['id']}")
    page.get_by_role("button", name="Copy endpoint").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == built["outputs"]["endpoint"]["value"]
    page.get_by_label("1 star", exact=True).focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you for rating it.")).to_be_visible()
    expect(page.get_by_label("4 stars")).to_be_checked()
    assert stage.user.gets(f"/api/deployments/{built['id']}")["rating"] == 4  # noqa: PLR2004 - stars


@pytest.mark.usefixtures("failed")
def test_the_list_is_searched_as_one_types(signs_in: SignIn, built: Any, cancelled: Any) -> None:
    page = signs_in("user").goes_to("/deployments")
    rows = page.locator("#list tbody tr:visible")
    search = page.get_by_label("Search", exact=True)
    search.fill("VPN-gate")
    expect(rows).not_to_have_count(0)
    expect(rows.filter(has_not_text="vpn-gateway")).to_have_count(0)
    search.fill(built["id"][-12:])
    expect(rows).to_have_count(1)
    search.fill("success")
    expect(rows).not_to_have_count(0)
    expect(rows.filter(has_not_text="Success")).to_have_count(0)
    search.fill("nothing is called so")
    expect(page.get_by_text("No deployment here matches.")).to_be_visible()
    search.fill("")
    page.get_by_label("Status").select_option("CANCELLED")
    expect(page).to_have_url(re.compile("status=CANCELLED"))
    expect(rows.filter(has_text=cancelled["id"])).to_have_count(1)
    expect(rows.filter(has_not_text="Cancelled")).to_have_count(0)


def test_staff_see_all_deployments_and_whose_they_are(
    signs_in: SignIn, stage: Story, built: Any
) -> None:
    page = signs_in("support").goes_to("/deployments")
    expect(page.get_by_role("heading", name="Nothing deployed yet")).to_be_visible()
    page.get_by_role("link", name="All deployments").click()
    page.get_by_label("Search", exact=True).fill(stage.user.email)
    page.get_by_role("row", name=built["id"]).get_by_role("link").click()
    expect(page.get_by_role("link", name=stage.user.email)).to_be_visible()
    expect(page.get_by_text("What you can do")).to_have_count(0)
    users = signs_in("user").goes_to("/deployments?scope=all")
    expect(users.get_by_role("link", name="All deployments")).to_have_count(0)
    stranger = signs_in("partner")
    stranger.goes_to(f"/deployments/{built['id']}")
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text("There is no such page")


def test_finance_refunds_a_part_with_a_reason(signs_in: SignIn, stage: Story, built: Any) -> None:
    page = signs_in("finance").goes_to(f"/deployments/{built['id']}")
    page.get_by_text("Refund", exact=True).click()
    page.get_by_label("Credits").fill("20")
    page.get_by_label("Reason").fill("Half of the nodes were slow")
    page.get_by_role("button", name="Give back").click()
    expect(page.get_by_text("The credits are given back.")).to_be_visible()
    expect(page.get_by_text("20 of 120")).to_be_visible()
    newest = stage.user.gets("/api/credits/history", type="REFUND")["items"][0]
    assert (newest["credits"], newest["reason"]) == (20, "Half of the nodes were slow")


def test_deployments_can_be_read_without_scripts(signs_in: SignIn, built: Any) -> None:
    page = signs_in("user", scripts=False).goes_to("/deployments")
    page.get_by_label("Search", exact=True).fill(built["id"])
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.locator("#list tbody").get_by_role("link").click()
    expect(page.get_by_text("https://")).to_be_visible()
    page.get_by_role("link", name="Read it as text").click()
    expect(page.locator("body")).to_contain_text("Apply complete")
