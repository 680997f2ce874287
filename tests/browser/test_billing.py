"""Billing and the ledger in a browser: what finance does, and what it is kept from doing."""

import re
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Joins, SignIn
from tests.browser.earning import Earning
from tests.browser.visitor import barriers, overflow
from tests.support.story import Story

NARROW: Final = 360
VERIFY_MS_MAX: Final = 90_000


def test_finance_awards_credits_and_the_users_window_shows_them_at_once(
    signs_in: SignIn, joins: Joins
) -> None:
    inga = joins("inga@example.org")
    other = signs_in(inga).goes_to("/deployments")
    credits_line = other.locator("#credits-line strong")
    expect(credits_line).to_have_text("0")
    expect(other.locator("body")).to_have_attribute("data-live", "on")

    page = signs_in("finance").goes_to("/billing/credits")
    page.get_by_label("E-mail, name or id").press_sequentially("inga@")
    page.get_by_role("link", name="inga@example.org").click()
    page.get_by_role("link", name="Award", exact=True).click()
    page.get_by_label("Credits").fill("many")
    page.get_by_label("Reason").fill("For a good report")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_label("Credits")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Credits").fill("1,015")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("available credits go from 0 to 1,015")).to_be_visible()
    assert barriers(page) == []
    expect(credits_line).to_have_text("0")
    page.get_by_role("button", name="Award credits").click()
    expect(page.get_by_text("The credits are awarded.")).to_be_visible()
    expect(credits_line).to_have_text("1,015")

    page.get_by_role("link", name="Take away").click()
    page.get_by_label("Credits").fill("2000")
    page.get_by_label("Reason").fill("A mistake")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("so this will be refused")).to_be_visible()
    page.get_by_role("button", name="Take credits away").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Credits").fill("15")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Take credits away").click()
    expect(page.get_by_text("The credits are taken away.")).to_be_visible()
    expect(credits_line).to_have_text("1,000")


def test_a_purchase_is_recorded_without_scripts(signs_in: SignIn, joins: Joins) -> None:
    jan = joins("jan@example.org")
    page = signs_in("finance", width=NARROW, scripts=False).goes_to(f"/billing/credits/{jan.id}")
    page.get_by_role("link", name="Record a purchase").click()
    page.get_by_label("Credits").fill("50")
    page.get_by_label("Price in USD").fill("1,234.50")
    page.get_by_label("Invoice").fill("INV-88")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("1,234.50 USD")).to_be_visible()
    page.get_by_role("button", name="Record a purchase").click()
    expect(page.get_by_text("The purchase is recorded.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="INV-88").first).to_contain_text("1,234.50 USD")
    assert overflow(page) == 0


def test_nobody_gives_credits_to_themselves(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("finance").goes_to(f"/billing/credits/{stage.finance.id}")
    expect(page.get_by_text("This is your own account.")).to_be_visible()
    expect(page.get_by_role("link", name="Award", exact=True)).to_have_count(0)
    page.goto(f"/billing/credits/{stage.finance.id}/award")
    expect(page.get_by_text("Nobody gives credits to themselves.")).to_be_visible()


def test_a_deployment_is_refunded_from_its_line_of_history(
    signs_in: SignIn, earned: Earning
) -> None:
    page = signs_in("finance").goes_to(f"/billing/credits/{earned.buyer.id}")
    page.get_by_role("link", name="refund", exact=True).first.click()
    expect(page.get_by_label("Deployment\u2019s id")).to_have_value(earned.deployment_id)
    expect(page.get_by_text("cost 25 credits")).to_be_visible()
    page.get_by_label("Credits", exact=False).fill("21")
    page.get_by_label("Reason").fill("More than there is")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("every share of it, is taken back")).to_be_visible()
    page.get_by_role("button", name="Refund a deployment").click()
    expect(page.get_by_role("alert")).to_contain_text("More than is left to refund")
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(earned.buyer.email)


def test_all_revenue_is_found_by_user_module_and_partner(signs_in: SignIn, earned: Earning) -> None:
    page = signs_in("finance").goes_to("/billing")
    page.get_by_label("E-mail or name").press_sequentially("bert@")
    expect(page.locator("#list table.cards tbody tr")).to_have_count(1)
    expect(page.locator("#list table.cards tbody tr")).to_contain_text("20.00 USD")
    expect(page.locator("#list tfoot")).to_contain_text("20.00 USD")
    page.get_by_role("navigation", name="Billing").get_by_role(
        "link", name="Module Revenue"
    ).click()
    page.get_by_label("Partner").select_option(label=earned.partner.email)
    expect(page.locator("#list table.cards tbody tr").filter(has_text="status-page")).to_have_count(
        2
    )
    expect(page.locator("#list tfoot")).to_contain_text("6.00 USD")
    page.get_by_label("Module").select_option(label="status-page")
    expect(page).to_have_url(re.compile("module_id="))
    expect(page.locator("#list table.cards tbody tr")).to_have_count(2)


def test_a_month_that_is_not_closable_says_why(signs_in: SignIn) -> None:
    page = signs_in("finance").goes_to("/billing/close")
    page.get_by_label("Month").fill("2026-01")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("This can\u2019t be undone.")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("button", name="Close 2026-01").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("2026-01 cannot be closed yet.")
    expect(alert).to_contain_text("the ledger has not attested 2026-01")
    expect(alert).to_contain_text("Nothing was changed")


@pytest.mark.usefixtures("earned")
def test_the_ledger_is_read_and_verified_and_compared(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("finance").goes_to("/ledger")
    page.get_by_label("User: e-mail, name or id").fill("bert@example.org")
    expect(page.get_by_role("heading", name="Events of bert@example.org")).to_be_visible()
    events = page.locator("#list details.event")
    expect(events.first).to_contain_text("Credits purchased")
    events.first.locator("summary").click()
    expect(events.first).to_contain_text('"INV-7"')
    expect(events.first.get_by_text(re.compile("^[0-9a-f]{64}$"))).to_be_visible()
    assert barriers(page) == []

    page.get_by_role("link", name="As of an instant").click()
    page.get_by_label("As of (UTC)").fill("2020-01-01T00:00:00")
    page.get_by_role("button", name="Compare").click()
    totals = stage.finance.gets("/api/ledger/totals")
    row = page.get_by_role("row").filter(has_text="All credits")
    expect(row.locator("td")).to_have_text(["0", *[f"{totals['total']:,}"] * 2])

    page.get_by_role("link", name="Verify").click()
    page.get_by_role("button", name="Verify the ledger").click()
    expect(page.get_by_text("Everything fits.")).to_be_visible(timeout=VERIFY_MS_MAX)
    expect(page.locator("code").filter(has_text=re.compile("^[0-9a-f]{64}$"))).to_be_visible()
    assert barriers(page) == []
