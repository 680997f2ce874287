"""What holds for every page: it opens for its roles, nobody is kept from using it, it fits."""

import re
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from services.gateway.web.routes import page_routes
from tests.browser.conftest import Joins, SignIn
from tests.browser.earning import Earning
from tests.browser.visitor import barriers, overflow
from tests.support.story import Story

NARROW: Final = 360

PAGES: Final = {
    "user": (
        *("/deploy", "/deploy?source=partner", "/deploy/{module}", "/deployments"),
        *("/deployments/{deployment}", "/deployments/{deployment}/update"),
        *("/credits", "/credits?buy=100", "/projects", "/profile"),
    ),
    "partner": ("/revenue", "/revenue/statements", "/revenue/webhooks", "/revenue/webhooks/new",
                "/revenue/webhooks/{webhook}", "/publish"),
    "agent": ("/revenue", "/revenue/users", "/profile"),
    "support": ("/users", "/deployments?scope=all"),
    "finance": ("/billing", "/billing/modules", "/billing/credits",
                "/billing/credits/{buyer}", "/billing/credits/{buyer}/{act}",
                "/billing/close", "/billing/close/{month}", "/revenue/explain/{earned}",
                "/ledger", "/ledger/verify", "/ledger/replay?as_of=2026-01-01T00:00:00Z",
                "/settings"),
    "admin": ("/settings", "/users", "/users/{user}", "/publish", "/publish/{sync}"),
}  # fmt: skip
"""Role → the pages that are tried in it."""

ALL: Final = [(role, path) for role, paths in PAGES.items() for path in paths]

_WEBHOOK: Final = {"url": "https://hooks.example.com/", "events": ["revenue.share_accrued"]}


@pytest.fixture(scope="module")
def ids(stage: Story, earned: Earning) -> dict[str, str]:
    """Give the ids that addresses need: of a module, a deployment, a user, a sync and so on."""
    from tests.support.story import deploy, module, succeeds

    card = module(stage.user, "static-website")
    deployment = deploy(stage.user, card, {"domain": "every.example.com"})
    succeeds(stage.user, deployment["id"])
    return {
        "module": card["id"],
        "deployment": deployment["id"],
        "user": stage.user.id,
        "act": "award",
        "month": "2026-01",
        "buyer": earned.buyer.id,
        "earned": earned.deployment_id,
        "webhook": stage.partner.posts("/api/webhooks", _WEBHOOK)["id"],
        "sync": stage.admin.gets("/api/syncs")["items"][0]["id"],
    }


@pytest.mark.parametrize(("role", "path"), ALL)
def test_a_page_opens_fits_and_keeps_nobody_out(
    signs_in: SignIn, ids: dict[str, str], role: str, path: str
) -> None:
    """Light and wide, then dark and narrow: one h1, no barrier by axe's rules, nothing cut off."""
    address = path.format(**ids)
    for width, dark in ((1280, False), (NARROW, True)):
        page = signs_in(role, width=width, dark=dark).page
        response = page.goto(address)
        assert response is not None
        assert response.ok, f"{address}: {response.status}"
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page).to_have_title(re.compile(r"\S+ · Tollgate$"))
        settled(page)
        assert barriers(page) == []
        assert overflow(page) == 0, f"{address} is wider than {width} px"


@pytest.mark.parametrize("path", sorted({path for _, path in ALL if path.count("/") == 1}))
def test_a_page_can_be_read_without_scripts(signs_in: SignIn, path: str) -> None:
    role = next(role for role, other in ALL if other == path)
    page = signs_in(role, scripts=False).page
    response = page.goto(path)
    assert response is not None
    assert response.ok
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("navigation", name="Main").first).to_be_visible()


def test_every_page_stands_in_the_table() -> None:
    """A page that only forms are sent to, and parts of pages, need not."""
    tried = {re.sub(r"\{\w+\}", "{}", path.partition("?")[0]) for _, path in ALL}
    elsewhere = {"/", "/signin", "/signup", "/parts/credits", "/credits/price", "/static/{}/{}"}
    pages = {
        re.sub(r"\{\w+(:\w+)?\}", "{}", route.path)
        for route in page_routes()
        if "GET" in (route.methods or ())
    }
    missing = {
        path
        for path in pages - tried - elsewhere
        if not path.endswith(".csv") and path not in TRIED_IN_TESTS_OF_THEIR_OWN
    }
    assert missing == set()


TRIED_IN_TESTS_OF_THEIR_OWN: Final[frozenset[str]] = frozenset(
    {"/credits/checkout/{}", "/revenue/statements/{}"}
)
"""Pages of things that only those tests make, which look for barriers themselves."""


def settled(page: Page) -> None:
    """Wait until a page's scripts have done their part: times are local, the charts are drawn."""
    expect(page.locator("time[data-local]")).to_have_count(0)
    for chart in page.locator("[data-chart]").all():
        expect(chart.locator("canvas").first).to_be_attached()


def test_a_newcomer_sees_what_to_do_first(signs_in: SignIn, joins: Joins) -> None:
    person = joins("nils@example.org", "partner")
    page = signs_in(person).page
    for path, action in (
        ("/deployments", "Deploy"),
        ("/publish", "Set the repository"),
    ):
        page.goto(path)
        expect(
            page.locator("main").get_by_role("link", name=re.compile(action)).first
        ).to_be_visible()
