"""`make screenshots`: pictures of the main pages, of a small system with some history.

They go to `docs/pages/`: `NAME.png`, at 1280 px, light; of some also dark and narrow ones.
"""

import sys
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

from tests.browser.visitor import Visitor
from tests.e2e import repositories
from tests.e2e.person import Person
from tests.support.story import (
    Story,
    deploy,
    module,
    publish_examples,
    story,
    succeeds,
    sync,
    usd,
)
from tests.support.tools import program

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "pages"
WIDE: Final = 1280
NARROW: Final = 390


def main() -> int:
    """Play a little history, and take the pictures."""
    FOLDER.mkdir(exist_ok=True)
    executable = program("chromium")
    with story() as told, sync_playwright() as playwright:
        ids = history(told)
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, person, path, width, dark in pictures(told, ids):
            take(browser, told, name, person, path.format(**ids), width=width, dark=dark)
        browser.close()
    return 0


def history(told: Story) -> dict[str, str]:
    """Have modules, credits of both kinds, deployments and revenue; return the ids of some."""
    for person, name in ((told.user, "Ursula"), (told.partner, "Pia"), (told.finance, "Fiona")):
        person.signs_up(name=name)
    told.agent.signs_up(name="Arno")
    for person, role in (
        (told.partner, "partner"),
        (told.finance, "finance"),
        (told.agent, "agent"),
    ):
        told.admin.patches(f"/api/users/{person.id}", {"roles": ["user", role]})
    told.admin.patches(f"/api/users/{told.user.id}", {"referred_by": told.agent.id})
    told.admin.patches(
        "/api/settings",
        {
            "partner_revenue_share": "30.00",
            "agent_revenue_share": "10.00",
            "credits_per_unit": 1,
            "credit_bundles": [
                {"credits": 100, "bonus": 0, "price": usd(9_500)},
                {"credits": 500, "bonus": 50, "price": usd(45_000)},
                {"credits": 2_000, "bonus": 300, "price": usd(170_000)},
            ],
        },
    )
    publish_examples(told)
    url = repositories.partners_repository(told.folder / "partner")
    told.partner.patches("/api/me", {"repository": {"url": url, "branch": "main"}})
    sync(told.partner, "partner")
    gift = {"user_id": told.user.id, "credits": 120, "reason": "Welcome"}
    told.admin.posts("/api/credits/awards", gift)
    bought = {"user_id": told.user.id, "credits": 1_000, "price": usd(100_000), "reference": "R-1"}
    told.finance.posts("/api/credits/purchases", bought)
    return deployments(told)


def deployments(told: Story) -> dict[str, str]:
    """Deploy some modules for some projects."""
    site = module(told.user, "static-website")
    status = module(told.user, repositories.PARTNERS)
    told.user.asks("PUT", f"/api/modules/{site['id']}/pin", None, status=204)
    told.admin.asks("PUT", f"/api/modules/{status['id']}/featured", None, status=204)
    made: list[Any] = []
    for number, (card, variables, project) in enumerate(
        (
            (site, {"domain": "www.example.com"}, "Web shop"),
            (status, {"headline": "All is well"}, "Web shop"),
            (site, {"domain": "docs.example.com"}, "Documentation"),
            (status, {"headline": "Internal"}, "Tools"),
        )
    ):
        made.append(deploy(told.user, card, variables, project=project))
        succeeds(told.user, made[number]["id"])
    told.user.asks("PUT", f"/api/deployments/{made[0]['id']}/rating", {"stars": 5}, status=204)
    return {"module": site["id"], "deployment": made[1]["id"], "line": made[1]["id"]}


def pictures(told: Story, ids: dict[str, str]) -> list[tuple[str, Person, str, int, bool]]:
    """Return (name, whose window, path, width, dark) of every picture."""
    assert ids
    return [
        ("deploy", told.user, "/deploy", WIDE, False),
        ("deploy-dark", told.user, "/deploy", WIDE, True),
        ("deploy-narrow", told.user, "/deploy", NARROW, False),
        ("module", told.user, "/deploy/{module}", WIDE, False),
        ("deployments", told.user, "/deployments", WIDE, False),
        ("deployment", told.user, "/deployments/{deployment}", WIDE, False),
        ("deployment-narrow", told.user, "/deployments/{deployment}", NARROW, True),
        ("credits", told.user, "/credits", WIDE, False),
        ("projects", told.user, "/projects", WIDE, False),
        ("revenue", told.partner, "/revenue", WIDE, False),
        ("explanation", told.partner, "/revenue/explain/{line}", WIDE, False),
        ("billing", told.finance, "/billing", WIDE, False),
        ("ledger", told.finance, "/ledger", WIDE, True),
        ("publish", told.partner, "/publish", WIDE, False),
    ]


def take(  # noqa: PLR0913 - what a picture is of
    browser: Browser, told: Story, name: str, person: Person, path: str, *, width: int, dark: bool
) -> None:
    """Take one picture."""
    visitor = Visitor.of(browser, told.system.url, width=width, scripts=True, dark=dark)
    try:
        visitor.take_session_of(person)
        page = visitor.goes_to(path)
        page.wait_for_load_state("load")
        page.wait_for_timeout(800)  # charts have drawn themselves
        page.screenshot(path=FOLDER / f"{name}.png", full_page=width == WIDE)
        sys.stdout.write(f"docs/pages/{name}.png\n")
    finally:
        visitor.close()


if __name__ == "__main__":
    sys.exit(main())
