"""A system that several tests use, each with people of its own."""

from collections.abc import Iterator

import pytest

from tests.support.story import Story, publish_examples, story


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Run a system with the example modules published, and a user who has 100 credits."""
    with story(tmp_path_factory.mktemp("system")) as told:
        for person in (told.user, told.finance, told.partner):
            person.signs_up()
        told.admin.patches(f"/api/users/{told.finance.id}", {"roles": ["user", "finance"]})
        told.admin.patches(f"/api/users/{told.partner.id}", {"roles": ["user", "partner"]})
        publish_examples(told)
        award = {"user_id": told.user.id, "credits": 100, "reason": "to begin with"}
        told.admin.posts("/api/credits/awards", award)
        yield told
