"""One browser and one system for all tests of the pages, and people of its own for each file.

No test here is asynchronous: Playwright's own loop runs while its browser is open.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.earning import Earning, earning
from tests.browser.visitor import WAIT_MS_MAX, Visitor
from tests.e2e import repositories
from tests.e2e.person import Person
from tests.support.story import Story, module, publish_examples, story, sync, wait_for
from tests.support.tools import program

MODULES: Final = Path(__file__).parent / "modules"
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


@pytest.fixture(scope="package")
def world() -> Iterator[Story]:
    """Run a system with the examples published, and its administrator."""
    with story() as told:
        publish_examples(told)
        yield told


@pytest.fixture(scope="module")
def stage(world: Story, request: pytest.FixtureRequest) -> Iterator[Story]:
    """Give each file people of every role, and a user with credits; its settings end with it.

    What one buys, deploys and pins is not there for the next. What is everybody's is: modules that
    were published, and whatever the administrator sees of all.
    """
    domain = f"{request.path.stem.removeprefix('test_').replace('_', '-')}.example.org"
    with ExitStack() as stack:

        def person(name: str) -> Person:
            found = Person(world.system.url, f"{name.lower()}@{domain}", secrets.token_hex(12))
            return stack.enter_context(found).signs_up(name=name)

        told = replace(
            world,
            finance=person("Fiona"),
            user=person("Ursula"),
            partner=person("Pia"),
            agent=person("Arno"),
            newcomer=person("Nora"),
        )
        for role in ROLES:
            roles = {"roles": ["user", role]}
            told.admin.patches(f"/api/users/{person_of(told, role).id}", roles)
        told.admin.patches(f"/api/users/{told.user.id}", {"referred_by": told.agent.id})
        for rich in (told.user, told.finance):
            award = {"user_id": rich.id, "credits": CREDITS, "reason": "to begin with"}
            told.admin.posts("/api/credits/awards", award)
        before = told.admin.gets("/api/settings")
        yield told
        after = told.admin.gets("/api/settings")
        told_only = {"version", "changed_at", "scheduled_shares", "platform_repository"}
        changed = {name for name in before if before[name] != after[name]} - told_only
        told.admin.patches("/api/settings", {name: before[name] for name in changed})


@pytest.fixture(scope="package")
def earned(world: Story) -> Iterator[Earning]:
    """Have a partner and an agent earn something, once for all files."""
    with earning(world) as done:
        yield done


@pytest.fixture(scope="package")
def every_kind(world: Story) -> Iterator[str]:
    """Publish a partner's module with a variable of every kind; return its id."""
    folder = world.folder / "every-kind"
    shutil.copytree(MODULES, folder)
    url = repositories.committed(folder)
    with Person(world.system.url, "ophelia@example.org", secrets.token_hex(12)) as partner:
        partner.signs_up(name="Ophelia's <i>works</i>")
        world.admin.patches(f"/api/users/{partner.id}", {"roles": ["user", "partner"]})
        partner.patches("/api/me", {"repository": {"url": url, "branch": "main"}})
        report = sync(partner, "partner")
        assert [each["problems"] for each in report["modules"]] == [[]]
        yield str(module(partner, "every-kind")["id"])


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
