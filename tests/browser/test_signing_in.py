"""Signing in, signing up, and the pages that say what is wrong."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.visitor import barriers
from tests.support.story import Story


def test_who_is_not_signed_in_signs_in_and_comes_where_they_wanted(
    stranger: Page, stage: Story
) -> None:
    stranger.goto("/profile")
    expect(stranger).to_have_url(re.compile("/signin"))
    stranger.get_by_label("E-mail").fill(stage.user.email)
    stranger.get_by_label("Password").fill("not the password")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_contain_text("wrong")
    expect(stranger.get_by_label("E-mail")).to_have_value(stage.user.email)
    expect(stranger.get_by_label("Password")).to_have_value("")
    stranger.get_by_label("Password").fill(stage.user.password)
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger).to_have_url(re.compile("/profile$"))


def test_nobody_is_led_elsewhere_after_signing_in(stranger: Page, stage: Story) -> None:
    stranger.goto("/signin?next=//evil.example/")
    stranger.get_by_label("E-mail").fill(stage.user.email)
    stranger.get_by_label("Password").fill(stage.user.password)
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger).to_have_url(f"{stage.system.url}/deploy")


def test_a_newcomer_signs_up_with_a_referral_link(stranger: Page, stage: Story) -> None:
    code = stage.agent.gets("/api/me")["referral_code"]
    stranger.goto(f"/signup?ref={code}")
    expect(stranger.get_by_label("Referral code")).to_have_value(code)
    stranger.get_by_label("Name").fill("Zoë <b>")
    stranger.get_by_label("E-mail").fill("zoe@example.org")
    stranger.get_by_label("Password").fill("short")
    stranger.get_by_role("button", name="Sign up").click()
    expect(stranger.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    stranger.get_by_label("Password").fill("quite long enough")
    stranger.get_by_role("button", name="Sign up").click()
    expect(stranger.locator(".notice[role=status]")).to_contain_text("Welcome")
    stranger.get_by_text("Zoë <b>").click()
    stranger.get_by_role("button", name="Sign out").click()
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    referred = stage.admin.gets("/api/users", search="zoe@example.org")["items"][0]["referred_by"]
    assert referred == stage.agent.id


def test_a_page_that_is_not_for_you_says_whom_it_is_for(signs_in: SignIn) -> None:
    visitor = signs_in("user")
    for path in ("/users", "/settings", "/billing", "/ledger", "/revenue", "/publish"):
        response = visitor.page.goto(path)
        assert response is not None
        assert response.status == 403, path  # noqa: PLR2004 - forbidden
        expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Not for your account")
        assert barriers(visitor.page) == []


def test_a_form_from_another_site_changes_nothing(signs_in: SignIn, stage: Story) -> None:
    visitor = signs_in("user")
    answer = visitor.context.request.post(
        "/signout", form={}, headers={"Origin": "https://evil.example", "Accept": "text/html"}
    )
    assert answer.status == 403  # noqa: PLR2004 - forbidden
    assert "came from elsewhere" in answer.text()
    assert visitor.goes_to("/deploy").url == f"{stage.system.url}/deploy"
