"""What holds for every page: it opens for its roles, nobody is kept from using it, it fits."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from services.gateway.web.routes import page_routes
from tests.browser.conftest import Joins, SignIn, person_of
from tests.browser.earning import Earning
from tests.browser.visitor import Visitor, barriers, looks, overflow
from tests.e2e.person import Person
from tests.support.story import Story, deploy, module, succeeds, usd

WIDE: Final = 1280
NARROW: Final = 360

PAGES: Final = {
    "user": (
        *("/deploy", "/deploy?source=partner", "/deploy?tag=none", "/deploy/{module}"),
        *("/deploy/{every_kind}", "/deployments"),
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
    "admin": ("/deploy", "/settings", "/users", "/users/{user}", "/publish", "/publish/{sync}"),
}  # fmt: skip
"""Role → the pages that are tried in it."""

ALL: Final = [(role, path) for role, paths in PAGES.items() for path in paths]

_WEBHOOK: Final = {"url": "https://hooks.example.com/", "events": ["revenue.share_accrued"]}


@pytest.fixture(scope="module")
def people(stage: Story, earned: Earning) -> dict[str, Person]:
    """Give somebody of each role, who has something to show."""
    known = {role: person_of(stage, role) for role in PAGES}
    return known | {"partner": earned.partner, "agent": earned.agent}


@pytest.fixture(scope="module")
def ids(stage: Story, earned: Earning, every_kind: str) -> Iterator[dict[str, str]]:
    """Give the ids that addresses need: of a module, a deployment, a user, a sync and so on."""
    bundle = {"credits": 400, "bonus": 40, "price": usd(35_000)}
    stage.admin.patches("/api/settings", {"credit_bundles": [bundle]})
    card = module(stage.user, "static-website")
    variables = {"domain": "every.example.com"}
    deployment = deploy(stage.user, card, variables, project="Lighthouse")
    succeeds(stage.user, deployment["id"])
    webhook = earned.partner.posts("/api/webhooks", _WEBHOOK)["id"]
    yield {
        "module": card["id"],
        "every_kind": every_kind,
        "deployment": deployment["id"],
        "user": stage.user.id,
        "act": "award",
        "month": "2026-01",
        "buyer": earned.buyer.id,
        "earned": earned.deployment_id,
        "webhook": webhook,
        "sync": stage.admin.gets("/api/syncs")["items"][0]["id"],
    }
    earned.partner.asks("DELETE", f"/api/webhooks/{webhook}", status=204)


@pytest.fixture(scope="module")
def window(chromium: Browser, people: dict[str, Person]) -> Iterator[Callable[[str], Visitor]]:
    """Return what gives a role's window, which stays open: it loads scripts and styles once."""
    opened: dict[str, Visitor] = {}

    def window_of(role: str) -> Visitor:
        if role not in opened:
            url = str(people[role].client.base_url).rstrip("/")
            opened[role] = Visitor.of(chromium, url, width=WIDE, scripts=True, dark=False)
            opened[role].take_session_of(people[role])
        return opened[role]

    yield window_of
    for each in opened.values():
        each.close()


@pytest.mark.parametrize(("role", "path"), ALL)
def test_a_page_opens_fits_and_keeps_nobody_out(
    window: Callable[[str], Visitor], ids: dict[str, str], role: str, path: str
) -> None:
    """Light and wide, then dark and narrow: one h1, no barrier by axe's rules, nothing cut off.

    The page is the same, only its window is not: no page knows of either but by its styles.
    """
    address = path.format(**ids)
    visitor = window(role)
    page = visitor.page
    looks(page, width=WIDE, dark=False)
    response = page.goto(address)
    assert response is not None
    assert response.ok, f"{address}: {response.status}"
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page).to_have_title(re.compile(r"\S+ · Tollgate$"))
    for width, dark in ((WIDE, False), (NARROW, True)):
        looks(page, width=width, dark=dark)
        settled(page)
        assert barriers(page) == [], f"{width} px, {'dark' if dark else 'light'}"
        assert overflow(page) == 0, f"{address} is wider than {width} px"
    assert visitor.complaints == []


def test_in_other_light_and_at_another_width_a_page_does_look_otherwise(signs_in: SignIn) -> None:
    """What the test above relies on: both reach a page that is open."""
    page = signs_in("user").goes_to("/deploy")
    seen = set()
    for width, dark in ((WIDE, False), (WIDE, True), (NARROW, False)):
        looks(page, width=width, dark=dark)
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        seen.add((color, page.get_by_role("navigation", name="Main").first.is_visible()))
    assert len(seen) == 3  # noqa: PLR2004 - each is another


@pytest.mark.parametrize("path", sorted({path for _, path in ALL if path.count("/") == 1}))
def test_a_page_can_be_read_without_scripts(
    signs_in: SignIn, people: dict[str, Person], path: str
) -> None:
    role = next(role for role, other in ALL if other == path)
    page = signs_in(people[role], scripts=False).page
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
