"""What happens while a page is on its way, or while nobody looks at it, is on it all the same."""

from playwright.sync_api import Route, expect

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
    visitor = signs_in(person)
    page = visitor.goes_to("/profile")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    page.goto("/signup")
    stage.admin.posts(
        "/api/credits/awards", {"user_id": person.id, "credits": 9, "reason": "meanwhile"}
    )
    page.go_back()
    expect(page.locator("#credits-line")).to_contain_text("9 credits")
