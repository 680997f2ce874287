"""One browser for all tests of the pages, and a system for each file of them.

No test here is asynchronous: Playwright's own loop runs while its browser is open.
"""

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.earning import Earning, earning
from tests.browser.visitor import WAIT_MS_MAX, Visitor
from tests.e2e.person import Person
from tests.support.story import Story, publish_examples, story, wait_for
from tests.support.tools import program

ROLES: Final = ("finance", "partner", "agent", "support")
CREDITS: Final = 500

PASSWORD: Final = "quite long enough"

SignIn = Callable[..., Visitor]
Joins = Callable[..., Person]

expect.set_options(timeout=WAIT_MS_MAX)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium, which as root has no sandbox of its own."""
    executable = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stage() -> Iterator[Story]:
    """Run a system with the examples published, people of every role, and a user with credits.

    Each file has its own: what one buys, publishes and sets is not there for the next.
    """
    with story() as told:
        people = {role: told.everybody.get(role, told.newcomer) for role in ROLES}
        for person in (told.user, *people.values()):
            person.signs_up(name=person.email.partition("@")[0].capitalize())
        for role, person in people.items():
            told.admin.patches(f"/api/users/{person.id}", {"roles": ["user", role]})
        told.admin.patches(f"/api/users/{told.user.id}", {"referred_by": told.agent.id})
        publish_examples(told)
        for person in (told.user, told.finance):
            award = {"user_id": person.id, "credits": CREDITS, "reason": "to begin with"}
            told.admin.posts("/api/credits/awards", award)
        yield told


@pytest.fixture(scope="module")
def earned(stage: Story) -> Iterator[Earning]:
    """Have a partner and the agent earn something."""
    with earning(stage) as done:
        yield done


@pytest.fixture
def signs_in(chromium: Browser, stage: Story) -> Iterator[SignIn]:
    """Return what gives a role's or a person's browser; what went wrong in it fails the test.

    Roles are admin, finance, support, partner, agent and user. `width` is the window's, `scripts`
    whether the browser runs any, `dark` what its owner likes.
    """
    visitors: list[Visitor] = []

    def sign_in(
        who: str | Person, *, width: int = 1280, scripts: bool = True, dark: bool = False
    ) -> Visitor:
        visitor = Visitor.of(chromium, stage.system.url, width=width, scripts=scripts, dark=dark)
        visitors.append(visitor)
        visitor.take_session_of(person_of(stage, who) if isinstance(who, str) else who)
        return visitor

    yield sign_in
    for visitor in visitors:
        visitor.close()
    assert [each for visitor in visitors for each in visitor.complaints] == []


@pytest.fixture
def joins(stage: Story) -> Iterator[Joins]:
    """Return what registers somebody new with some roles, whom the list of users has then."""
    people: list[Person] = []

    def join(email: str, *roles: str) -> Person:
        person = Person(stage.system.url, email, PASSWORD)
        people.append(person)
        person.signs_up()
        wait_for(
            f"the list to have {email}",
            lambda: stage.admin.gets("/api/users", search=email)["items"],
            bool,
        )
        if roles:
            stage.admin.patches(f"/api/users/{person.id}", {"roles": ["user", *roles]})
        return person

    yield join
    for person in people:
        person.client.close()


@pytest.fixture
def stranger(chromium: Browser, stage: Story) -> Iterator[Page]:
    """Give the page of somebody who is not signed in."""
    visitor = Visitor.of(chromium, stage.system.url, width=1280, scripts=True, dark=False)
    yield visitor.page
    visitor.close()
    assert visitor.complaints == []


def person_of(stage: Story, role: str) -> Person:
    """Return who plays a role."""
    return stage.newcomer if role == "support" else stage.everybody[role]
