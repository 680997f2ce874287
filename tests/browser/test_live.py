"""What happens while a page is on its way, or while nobody looks at it, is on it all the same."""

from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Joins, SignIn
from tests.support.story import Story


def test_what_happens_before_a_page_listens_is_not_missed(
    signs_in: SignIn, joins: Joins, stage: Story
) -> None:
    person = joins("livia@example.org")
    visitor = signs_in(person)
    award = {"user_id": person.id, "credits": 7, "reason": "just then"}
    made: list[str] = []

    def as_it_connects(route: Route) -> None:
        if not made:
            made.append(stage.admin.posts("/api/credits/awards", award)["id"])
        route.continue_()

    visitor.page.route("**/api/events*", as_it_connects)
    page = visitor.goes_to("/profile")
    expect(page.locator("#credits-line")).to_contain_text("7 credits")
    assert made


def test_a_page_that_was_out_of_sight_is_up_to_date_when_it_is_seen_again(
    signs_in: SignIn, joins: Joins, stage: Story
) -> None:
    person = joins("lars@example.org")
    page = signs_in(person).goes_to("/profile")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    calls: list[str] = []
    page.on("request", lambda request: calls.append(urlsplit(request.url).path))
    is_hidden(page, hidden=True)
    award = {"user_id": person.id, "credits": 9, "reason": "meanwhile"}
    stage.admin.posts("/api/credits/awards", award)
    assert stage.admin.gets("/api/credits/balance", user_id=person.id)["total"] == award["credits"]
    expect(page.locator("#credits-line")).to_contain_text("0 credits")
    assert calls == []
    is_hidden(page, hidden=False)
    expect(page.locator("#credits-line")).to_contain_text("9 credits")
    assert calls[0] == "/api/events"
    assert "/profile" not in calls


def is_hidden(page: Page, *, hidden: bool) -> None:
    """Say to a page what browsers say of one that nobody sees, or sees again."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
