"""A system that several tests use, and the programs that all of them need."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.story import Story, publish_examples, story
from tests.support.tools import program


@pytest.fixture(scope="session", autouse=True)
def real_programs() -> None:
    """Skip, or fail where they are required, without the programs that builds and syncs run."""
    program("git")
    if shutil.which("tofu") is None:
        program("terraform")


@pytest.fixture(scope="module")
def published(real_programs: None) -> Iterator[Story]:
    """Run a system with the example modules published, and a user who has 100 credits."""
    with story() as told:
        for person in (told.user, told.finance, told.partner):
            person.signs_up()
        told.admin.patches(f"/api/users/{told.finance.id}", {"roles": ["user", "finance"]})
        told.admin.patches(f"/api/users/{told.partner.id}", {"roles": ["user", "partner"]})
        publish_examples(told)
        award = {"user_id": told.user.id, "credits": 100, "reason": "to begin with"}
        told.admin.posts("/api/credits/awards", award)
        yield told
