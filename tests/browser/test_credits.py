"""Credits in a browser: bought at Stripe, read, filtered, downloaded, and added up by project."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from runtime.clock import SystemClock
from tests.browser.conftest import SignIn
from tests.browser.visitor import barriers, overflow
from tests.support.story import Story, deploy, module, succeeds, usd

NARROW: Final = 360
BUNDLE: Final = {"credits": 400, "bonus": 40, "price": usd(35_000)}


@pytest.fixture(scope="module", autouse=True)
def bundle(stage: Story) -> None:
    """Sell 400 credits for 350 dollars, with 40 on top."""
    stage.admin.patches("/api/settings", {"credit_bundles": [BUNDLE]})


@pytest.fixture(scope="module")
def spent(stage: Story) -> Any:
    """Return a deployment in a project that was paid for."""
    card = module(stage.user, "message-queue")
    made = deploy(stage.user, card, {}, project="Lighthouse")
    return succeeds(stage.user, made["id"])


@contextmanager
def switched(stage: Story, **settings: Any) -> Iterator[None]:
    """Have other settings for a while."""
    before = stage.admin.gets("/api/settings")
    stage.admin.patches("/api/settings", settings)
    yield
    stage.admin.patches("/api/settings", {name: before[name] for name in settings})


def available(page: Page) -> int:
    """Return the credits that the top of a page says."""
    return int(page.locator("#credits-line strong").inner_text().replace(",", ""))


def test_credits_are_bought_at_stripe_and_other_windows_see_them(signs_in: SignIn) -> None:
    page, other = signs_in("user").goes_to("/credits"), signs_in("user").goes_to("/deploy")
    before = available(other)
    page.get_by_role("textbox", name="Another amount").press_sequentially("400")
    expect(page.locator("#price")).to_contain_text("350.00 USD")
    expect(page.locator("#price")).to_contain_text("40 credits on top")
    page.get_by_role("button", name="Go on to pay").click()
    page.get_by_role("button", name="Pay 350.00 USD").click()
    expect(page).to_have_url(re.compile(r"/credits/checkout/[^/?]+$"))
    expect(page.get_by_text("The credits are yours.")).to_be_visible()
    expect(other.locator("#credits-line strong")).to_have_text(f"{before + 440:,}")
    page.get_by_role("link", name="See your credits").click()
    expect(page.locator("#lots tr").filter(has_text="350.00 USD")).to_have_count(1)


def test_who_does_not_pay_can_still_do_so_from_the_same_page(signs_in: SignIn) -> None:
    page = signs_in("user").goes_to("/credits?buy=7")
    expect(page.get_by_role("textbox", name="Another amount")).to_have_value("7")
    expect(page.locator("#price")).to_have_text("7.00 USD")
    page.get_by_role("button", name="350.00 USD").click()
    page.get_by_role("button", name="declined").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Not paid yet")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("link", name="Pay at Stripe").click()
    page.get_by_role("button", name="Pay 350.00 USD").click()
    expect(page.locator("#checkout .badge")).to_have_text("Paid")


@pytest.mark.parametrize(
    ("way", "then", "badge", "says"),
    [
        ("declined", "expire", "Expired", "It was not paid in time."),
        ("bank debit", "arrive", "Paid", "The credits are yours."),
        ("bank debit", "bounce", "Not paid", "The payment did not go through."),
    ],
)
def test_a_payment_that_is_not_made_at_once_ends_on_the_page_of_the_purchase(  # noqa: PLR0913, PLR0917 - each a column of the table, or a fixture
    signs_in: SignIn, stage: Story, way: str, then: str, badge: str, says: str
) -> None:
    page = signs_in("user").goes_to("/credits?buy=60")
    before = available(page)
    page.get_by_role("button", name="Go on to pay").click()
    page.wait_for_url(re.compile("/pay/cs_"))
    session_id = page.url.rpartition("/")[2]
    page.get_by_role("button", name=way).click()
    if way == "declined":
        expect(page.get_by_text("The card was declined.")).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#checkout .badge")).to_have_text("Not paid yet")
    expect(page.get_by_text("a payment from a bank account takes days")).to_be_visible()
    assert available(page) == before
    at_stripe = f"{stage.system.endpoints['stripe']}/control/sessions/{session_id}/{then}"
    assert page.request.post(at_stripe).ok
    # Nobody reloads the page.
    expect(page.locator("#checkout .badge")).to_have_text(badge)
    expect(page.get_by_text(says)).to_be_visible()
    paid = badge == "Paid"
    expect(page.locator("#credits-line strong")).to_have_text(f"{before + 60 * paid:,}")
    if not paid:
        expect(page.get_by_text("nothing is charged")).to_be_visible()
        page.get_by_role("link", name="Buy again").click()
        expect(page.get_by_role("textbox", name="Another amount")).to_have_value("60")


def test_credits_are_bought_without_scripts(signs_in: SignIn) -> None:
    page = signs_in("user", scripts=False, width=NARROW).goes_to("/credits")
    page.get_by_role("textbox", name="Another amount").fill("many")
    page.get_by_role("button", name="Go on to pay").click()
    amount = page.get_by_role("textbox", name="Another amount")
    expect(amount).to_have_attribute("aria-invalid", "true")
    expect(amount).to_have_value("many")
    amount.fill("3")
    page.get_by_role("button", name="Go on to pay").click()
    expect(page.get_by_text("3.00 USD")).to_be_visible()
    page.get_by_role("link", name="Pay at Stripe").click()
    page.get_by_role("button", name="Pay 3.00 USD").click()
    expect(page).to_have_url(re.compile("/credits/checkout/"))
    page.reload()
    expect(page.get_by_text("Buying credits").first).to_be_visible()
    assert overflow(page) == 0


@pytest.mark.usefixtures("spent")
def test_the_history_is_filtered_and_downloaded_as_csv(signs_in: SignIn, tmp_path: Path) -> None:
    page = signs_in("user").goes_to("/credits")
    page.get_by_label("Type").select_option("SPEND")
    rows = page.locator("#history tbody tr")
    expect(rows.filter(has_not_text="Spent")).to_have_count(0)
    expect(page).to_have_url(re.compile("type=SPEND"))
    shown = rows.count()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download as CSV").click()
    downloading.value.save_as(tmp_path / "history.csv")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "history.csv").read_text())))
    assert {line["type"] for line in lines} == {"SPEND"}
    assert len(lines) == shown
    page.get_by_label("To, inclusive").fill("2020-01-01")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.goto("/credits?from=2026-99-99")
    expect(page.get_by_role("alert")).to_contain_text("no date")


def test_credits_that_expire_soon_are_warned_of(signs_in: SignIn, stage: Story) -> None:
    page = signs_in("user").goes_to("/credits")
    expect(page.get_by_text("Spend them before")).to_have_count(0)
    for days, given in ((3, 11), (30, 12)):
        until = SystemClock().now() + timedelta(days=days)
        award = {"user_id": stage.user.id, "credits": given, "reason": "a gift"}
        award["expires_at"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        stage.admin.posts("/api/credits/awards", award)
    expect(page.get_by_role("row", name="a gift").first).to_be_visible()
    page.reload()
    expect(page.get_by_text("Spend them before")).to_have_count(1)
    expect(page.get_by_text("11 award credits")).to_be_visible()


def test_who_has_few_credits_is_told_what_is_missing(signs_in: SignIn) -> None:
    page = signs_in("partner").goes_to("/deployments")
    hint = page.get_by_text("You have 0 credits to spend")
    expect(hint).to_contain_text("costs 5")
    hint.get_by_role("link", name="Buy credits").click()
    expect(page.get_by_role("textbox", name="Another amount")).to_have_value("5")
    expect(page.get_by_text("You have 0 credits to spend")).to_be_visible()
    rich = signs_in("user").goes_to("/credits")
    expect(rich.get_by_text("the cheapest module")).to_have_count(0)


def test_what_projects_cost_is_drawn_and_written(
    signs_in: SignIn, stage: Story, spent: Any
) -> None:
    page = signs_in("user").goes_to("/projects")
    expect(page.locator("#by-month canvas")).to_be_visible()
    expect(page.get_by_role("row", name="Lighthouse")).to_contain_text("20")
    page.get_by_text("Figures as a table").click()
    expect(page.get_by_role("rowheader", name=spent["created_at"][:7])).to_be_visible()
    assert barriers(page) == []
    page.get_by_label("To, inclusive").fill("2020-01-01")
    expect(page.get_by_role("heading", name="Nothing was spent")).to_be_visible()
    finance = signs_in("finance").goes_to(f"/projects?user_id={stage.user.id}")
    expect(finance.get_by_role("row", name="Lighthouse")).to_be_visible()
    finance.get_by_label("Id of a user").fill("nobody")
    finance.get_by_role("button", name="Show").click()
    expect(finance.get_by_role("alert")).to_contain_text("There is no such user")
    with switched(stage, project_costs_enabled=False):
        page.goto("/projects")
        expect(page.get_by_role("heading", name="switched off")).to_be_visible()
        expect(page.get_by_role("link", name="Projects")).to_have_count(0)
