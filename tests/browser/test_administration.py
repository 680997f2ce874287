"""Users, settings, publishing and one's own profile, by clicking."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Joins, SignIn
from tests.e2e import repositories
from tests.support.story import Story


def notice(page: Page, text: str) -> None:
    """Expect what a page says once, after something was done."""
    expect(page.locator(".notice[role=status]")).to_contain_text(text)


def test_an_admin_finds_a_user_and_makes_them_a_partner(
    signs_in: SignIn, joins: Joins, stage: Story
) -> None:
    person = joins("petra@example.org")
    page = signs_in("admin").goes_to("/users")
    page.get_by_label("E-mail or name").fill("petra")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="petra@example.org").click()
    page.get_by_role("checkbox", name=re.compile("^partner")).check()
    page.get_by_role("button", name="Save the roles").click()
    notice(page, "Saved")
    assert person.gets("/api/me")["roles"] == ["user", "partner"]
    page.get_by_label("Agent", exact=True).select_option(stage.agent.email)
    page.get_by_role("button", name="Save the agent").click()
    notice(page, "Saved")
    assert stage.admin.gets(f"/api/users/{person.id}")["referred_by"] == stage.agent.id


def test_who_is_deactivated_is_out_at_once_and_can_come_back(
    signs_in: SignIn, joins: Joins, stage: Story
) -> None:
    person = joins("dora@example.org")
    page = signs_in("admin").goes_to(f"/users/{person.id}")
    page.get_by_role("button", name="Deactivate").click()
    notice(page, "Saved")
    assert person.asks("GET", "/api/me", status=401).status == 401  # noqa: PLR2004 - signed out
    page.get_by_role("button", name="Activate again").click()
    notice(page, "Saved")
    person.signs_in()


def test_the_last_admin_stays_and_the_page_says_why(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("admin").goes_to(f"/users/{stage.admin.id}")
    page.get_by_role("checkbox", name=re.compile("^admin")).uncheck()
    page.get_by_role("button", name="Save the roles").click()
    expect(page.get_by_role("alert")).to_contain_text("last admin")
    assert "admin" in stage.admin.gets("/api/me")["roles"]


def test_settings_are_changed_and_what_is_wrong_is_said_at_its_field(
    signs_in: SignIn, stage: Story
) -> None:
    page = signs_in("admin").goes_to("/settings")
    page.get_by_label("Credits of bundle 1", exact=True).fill("1,000")
    page.get_by_label("Free credits of bundle 1").fill("50")
    page.get_by_label("Price of bundle 1").fill("99.50")
    page.get_by_label("Credits for one unit of it").fill("10")
    page.get_by_role("button", name="Save credits").click()
    notice(page, "saved")
    found = stage.admin.gets("/api/settings")
    assert found["credits_per_unit"] == 10  # noqa: PLR2004 - as typed
    assert found["credit_bundles"] == [
        {"credits": 1000, "bonus": 50, "price": {"amount_minor": 9950, "currency": "USD"}}
    ]
    expect(page.get_by_label("Price of bundle 1")).to_have_value("99.50")
    page.get_by_label("Credits for one unit of it").fill("ten")
    page.get_by_role("button", name="Save credits").click()
    field = page.get_by_label("Credits for one unit of it")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("ten")
    assert stage.admin.gets("/api/settings")["credits_per_unit"] == 10  # noqa: PLR2004 - as before
    page.goto("/settings")
    page.get_by_label("Credits of bundle 1", exact=True).fill("")
    page.get_by_label("Price of bundle 1").fill("")
    page.get_by_role("button", name="Save credits").click()
    notice(page, "saved")
    assert stage.admin.gets("/api/settings")["credit_bundles"] == []


def test_of_two_who_change_the_settings_at_once_the_second_is_told(
    signs_in: SignIn, stage: Story
) -> None:
    page = signs_in("finance").goes_to("/settings")
    stage.admin.patches("/api/settings", {"retention_days": 400})
    before = stage.admin.gets("/api/settings")
    page.get_by_label("Partners get, in %").fill("12.50")
    page.get_by_role("button", name="Save the shares").click()
    expect(page.get_by_role("alert")).to_contain_text("changed since")
    assert stage.admin.gets("/api/settings") == before


def test_a_token_is_shown_once_works_and_is_revoked(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("user").goes_to("/profile")
    page.get_by_label("What is it for?").fill("deploys from CI")
    page.get_by_role("button", name="Create a token").click()
    shown = page.get_by_role("region", name=re.compile("new token")).locator("code").first
    text = shown.inner_text()
    assert text.startswith("tg_")
    answer = page.request.get("/api/me", headers={"Authorization": f"Bearer {text}"})
    assert answer.json()["email"] == stage.user.email
    page.goto("/profile")
    expect(page.get_by_text(text)).to_have_count(0)
    page.get_by_role("button", name="Revoke deploys from CI").click()
    notice(page, "revoked")
    refused = page.request.get("/api/me", headers={"Authorization": f"Bearer {text}"})
    assert refused.status == 401  # noqa: PLR2004 - no longer known


def test_who_wants_to_leave_must_type_their_address(
    signs_in: SignIn, joins: Joins, stage: Story
) -> None:
    person = joins("leo@example.org")
    page = signs_in(person).goes_to("/profile")
    page.get_by_text("Deactivate this account").click()
    page.get_by_label("Type your e-mail address to confirm").fill("somebody@else.example")
    page.get_by_role("button", name="Deactivate my account").click()
    expect(page.get_by_text("is not your e-mail address").first).to_be_visible()
    person.gets("/api/me")
    page.get_by_label("Type your e-mail address to confirm").fill("leo@example.org")
    page.get_by_role("button", name="Deactivate my account").click()
    expect(page).to_have_url(re.compile("/signin"))
    notice(page, "deactivated")


def test_a_partner_publishes_and_reads_file_and_line_of_what_is_wrong(
    signs_in: SignIn, joins: Joins, stage: Story
) -> None:
    person = joins("paula@example.org", "partner")
    url = repositories.half_finished_repository(stage.folder / "paula")
    page = signs_in(person).goes_to("/publish")
    page.get_by_role("link", name="Set the repository").click()
    page.get_by_role("textbox", name=re.compile("^Address")).fill(url)
    page.get_by_label("Access token").fill("ghp_secret")
    page.get_by_role("button", name="Save the repository").click()
    notice(page, "Saved")
    assert "ghp_secret" not in page.content()
    page.get_by_role("link", name="Publish from it").click()
    page.get_by_role("button", name="Sync now").click()
    report = page.locator("#report")
    expect(report.get_by_text("Refused")).to_be_visible()
    expect(report.get_by_text(f"module.yaml:{repositories.BROKEN_LINE}")).to_be_visible()
    expect(report.get_by_role("link", name="status-page")).to_be_visible()
    assert page.url.startswith(f"{stage.system.url}/publish/")


def test_what_is_yours_is_told_on_another_page(
    signs_in: SignIn, joins: Joins, stage: Story
) -> None:
    person = joins("tilda@example.org")
    page = signs_in(person).goes_to("/profile")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    award = {"user_id": person.id, "credits": 40, "reason": "well done"}
    stage.admin.posts("/api/credits/awards", award)
    expect(page.locator("#told")).to_contain_text("40 credits have come")
    expect(page.locator("#credits-line")).to_contain_text("40 credits")
    page.get_by_label("When credits come or go").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    notice(page, "Saved")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    stage.admin.posts("/api/credits/awards", award | {"credits": 2})
    expect(page.locator("#credits-line")).to_contain_text("42 credits")
    expect(page.locator("#told p")).to_have_count(0)
