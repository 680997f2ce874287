"""The main job, from an empty folder to proven revenue, as people do it: over HTTP.

Modules come from a real Git repository, Terraform really runs, and money is counted to the cent.
The same story is told again while each part of the system is killed in the middle of it: the end
is the same, to the credit.
"""

import asyncio
import json
from typing import Any, Final

import pytest

from tests.e2e import repositories
from tests.e2e.invariants import broken
from tests.e2e.live import Live
from tests.e2e.system import SERVERS, SERVICES
from tests.support.story import (
    Story,
    balance,
    deploy,
    module,
    publish_examples,
    story,
    succeeds,
    sync,
    until_ended,
    usd,
    wait_for,
)

WEBSITE: Final = {
    "domain": "www.example.org",
    "region": "europe-north1",
    "deploy_token": "hush-hush",
}

pytestmark = [pytest.mark.timeout(300)]


def test_the_main_job() -> None:
    with story() as told:
        the_whole_story(told)


@pytest.mark.parametrize("victim", [*SERVICES, *SERVERS])
def test_the_end_is_the_same_whatever_is_killed_in_the_middle(victim: str) -> None:
    with story(victim=victim) as told:
        the_whole_story(told)
        assert len(told.struck) == MOMENTS_OF_TROUBLE


MOMENTS_OF_TROUBLE: Final = 4


def the_whole_story(told: Story) -> None:
    people_come(told)
    the_platforms_modules_are_published(told)
    a_user_gets_credits(told)
    a_user_deploys_a_website_and_watches_it(told)
    what_was_held_is_spent_and_earns_revenue(told)
    a_partner_publishes_a_module_and_earns_a_share(told)
    a_deployment_that_fails_costs_nothing(told)
    what_cannot_be_paid_is_refused(told)
    a_partner_deploys_an_own_module_for_free(told)
    all_figures_agree_in_the_end(told)


def people_come(told: Story) -> None:
    """Everybody registers; the administrator says who is what, and who earns how much."""
    for person in (told.finance, told.user, told.partner, told.agent):
        person.signs_up()
    for person, role in (
        (told.finance, "finance"),
        (told.partner, "partner"),
        (told.agent, "agent"),
    ):
        told.admin.patches(f"/api/users/{person.id}", {"roles": ["user", role]})
    told.admin.patches(f"/api/users/{told.user.id}", {"referred_by": told.agent.id})
    settings = told.admin.patches(
        "/api/settings", {"partner_revenue_share": "30.00", "agent_revenue_share": "5.00"}
    )
    assert settings["currency"] == "USD"


def the_platforms_modules_are_published(told: Story) -> None:
    """A sync of a real repository reports on each module, the broken one with file and line."""
    report = publish_examples(told)

    assert report["status"] == "DONE", report["error"]
    outcomes = {m["name"]: m["outcome"] for m in report["modules"]}
    assert outcomes.pop(repositories.BROKEN) == "REFUSED"
    assert len(outcomes) >= 6
    assert set(outcomes.values()) == {"PUBLISHED"}
    [refused] = [m for m in report["modules"] if m["outcome"] == "REFUSED"]
    [problem] = refused["problems"]
    assert (refused["path"], problem["file"]) == (repositories.BROKEN, "module.yaml")
    assert problem["line"] == repositories.BROKEN_LINE
    assert "credit_cost" in problem["message"]


def a_user_gets_credits(told: Story) -> None:
    """30 credits are given, 100 are bought for 100.00 USD."""
    award = {"user_id": told.user.id, "credits": 30, "reason": "welcome aboard"}
    purchase = {
        "user_id": told.user.id,
        "credits": 100,
        "price": usd(10_000),
        "reference": "invoice 2026-0815",
    }
    given = told.admin.posts("/api/credits/awards", award)
    told.trouble_strikes("between an award and a purchase")
    bought = told.finance.posts("/api/credits/purchases", purchase)

    assert (given["kind"], given["credits"], given["price"]) == ("award.admin", 30, usd(0))
    assert (bought["kind"], bought["credits"], bought["price"]) == ("purchase", 100, usd(10_000))
    assert balance(told.user) == (30, 100, 0)


def a_user_deploys_a_website_and_watches_it(told: Story) -> None:
    """A quote, a deployment, 30 awarded and 20 purchased credits on hold, and Terraform, live."""
    website = module(told.user, "static-website")
    assert (website["credit_cost"], website["your_cost"]) == (50, 50)
    quote = told.user.posts(
        "/api/quotes", {"module_id": website["id"], "variables": WEBSITE}, status=200
    )
    assert (quote["cost"], quote["awarded_part"], quote["purchased_part"]) == (50, 30, 20)
    assert (quote["allowed"], quote["refusal"], quote["balance_after"]) == (True, None, 80)

    with Live(told.user, "/api/events") as events:
        told.trouble_strikes("as a deployment is asked for")
        accepted = deploy(told.user, website, WEBSITE, project="intranet")
        assert accepted["status"] == "QUEUED"
        assert (accepted["credit_cost"], accepted["module_name"]) == (50, "static-website")
        assert (accepted["awarded_part"], accepted["purchased_part"]) == (30, 20)
        if told.victim is None:
            assert balance(told.user) == (30, 100, 50)

        done = succeeds(told.user, accepted["id"])
        assert [s["status"] for s in done["status_history"]] == [
            "QUEUED",
            "PROVISIONING",
            "SUCCESS",
        ]
        assert done["outputs"]["url"]["value"] == "https://www.example.org/"
        assert "hush-hush" not in json.dumps(done)
        events.wait_for(
            "the success",
            lambda seen: {"PROVISIONING", "SUCCESS"} <= statuses(seen, accepted["id"]),
        )

    log = wait_for(
        "the log's last line",
        lambda: told.user.gets(f"/api/deployments/{accepted['id']}/logs"),
        lambda log: "Apply complete!" in log,
    )
    assert "hush-hush" not in log


def what_was_held_is_spent_and_earns_revenue(told: Story) -> None:
    """The balance is 0 awarded and 80 purchased; the 20 purchased credits earned 20.00 USD."""
    wait_for("the settlement", lambda: balance(told.user), lambda b: b == (0, 80, 0))
    history = told.user.lists("/api/credits/history")
    movements = {(e["type"], e["awarded_delta"], e["purchased_delta"]) for e in history}
    assert {("AWARD", 30, 0), ("PURCHASE", 0, 100)} <= movements
    assert sorted(e["type"] for e in history) == ["AWARD", "HOLD", "PURCHASE", "SPEND"]

    row = wait_for(
        "the revenue",
        lambda: user_revenue(told.finance, told.user.id),
        lambda r: r["true_revenue"] == usd(2_000),
    )
    assert (row["email"], row["total_deployments"]) == (told.user.email, 1)
    assert row["agent_share"] == usd(100)
    assert user_revenue(told.agent, told.user.id)["agent_share"] == usd(100)


def a_partner_publishes_a_module_and_earns_a_share(told: Story) -> None:
    """A partner's own repository; a user deploys from it; 30 % of 25.00 USD is the partner's."""
    url = repositories.partners_repository(told.folder / "partner")
    told.partner.patches("/api/me", {"repository": {"url": url, "branch": "main"}})
    report = sync(told.partner, "partner")
    assert [(m["name"], m["outcome"]) for m in report["modules"]] == [
        (repositories.PARTNERS, "PUBLISHED")
    ]

    page = module(told.user, repositories.PARTNERS)
    assert (page["source"], page["partner_id"]) == ("partner", told.partner.id)
    accepted = deploy(told.user, page, {"headline": "All systems go"})
    with Live(told.user, f"/api/deployments/{accepted['id']}/logs") as log:
        log.wait_for("the module's first line", lambda seen: "measuring" in text(seen))
        told.trouble_strikes("as Terraform runs")
        succeeds(told.user, accepted["id"])
        log.wait_for("the module's last line", lambda seen: "all is well" in text(seen))

    wait_for("the settlement", lambda: balance(told.user), lambda b: b == (0, 55, 0))
    [line] = wait_for(
        "the partner's line",
        lambda: told.partner.gets("/api/revenue/modules")["items"],
        lambda lines: lines,
    )
    assert (line["deployment_id"], line["credit_cost"]) == (accepted["id"], 25)
    assert line["revenue"] == usd(750)
    [line] = told.finance.gets("/api/revenue/modules", partner_id=told.partner.id)["items"]
    assert (line["true_revenue"], line["revenue"]) == (usd(2_500), usd(750))
    assert line["purchased_credits"] == 25


def a_deployment_that_fails_costs_nothing(told: Story) -> None:
    """Terraform fails; the deployment says why, and its hold is released."""
    accepted = deploy(told.user, module(told.user, "vpn-gateway"), {})
    done = until_ended(told.user, accepted["id"])

    assert done["status"] == "FAILED"
    [build] = done["builds"]
    assert "exit status 3" in build["error"]["message"]
    wait_for(
        "the module's last words",
        lambda: told.user.gets(f"/api/deployments/{accepted['id']}/logs"),
        lambda log: "no answer from 203.0.113.7" in log,
    )
    wait_for("the release", lambda: balance(told.user), lambda b: b == (0, 55, 0))


def what_cannot_be_paid_is_refused(told: Story) -> None:
    """Too dear for the balance; or premium, with awarded credits only."""
    cluster = module(told.user, "kubernetes-cluster")
    problem = told.user.is_refused(
        "/api/deployments",
        {"module_id": cluster["id"], "variables": {}},
        status=402,
        code="INSUFFICIENT_TOTAL_CREDITS",
    )
    assert (problem["required"], problem["available"]) == (120, 55)

    told.admin.patches("/api/settings", {"signup_award": 100})
    told.newcomer.signs_up()
    wait_for("the sign-up award", lambda: balance(told.newcomer), lambda b: b == (100, 0, 0))
    database = module(told.newcomer, "postgres-database")
    problem = told.newcomer.is_refused(
        "/api/deployments",
        {"module_id": database["id"], "variables": {"administrator_password": "correct horse"}},
        status=402,
        code="INSUFFICIENT_PURCHASED_CREDITS",
    )
    assert (problem["required"], problem["available"]) == (80, 0)
    assert balance(told.newcomer) == (100, 0, 0)
    assert told.newcomer.lists("/api/deployments") == []


def a_partner_deploys_an_own_module_for_free(told: Story) -> None:
    """It costs the partner nothing, earns nobody anything, and still stands in the ledger."""
    page = module(told.partner, repositories.PARTNERS)
    assert (page["credit_cost"], page["your_cost"]) == (25, 0)
    accepted = deploy(told.partner, page, {"headline": "Mine"})
    assert accepted["credit_cost"] == 0
    succeeds(told.partner, accepted["id"])
    assert balance(told.partner) == (0, 0, 0)


def all_figures_agree_in_the_end(told: Story) -> None:
    """Nothing is lost or doubled: every total is what the story says, and all checks pass."""
    told.system.wait_until_ready()
    assert asyncio.run(broken(told.system)) == []

    users = told.finance.gets("/api/revenue/users")
    earned = {row["email"]: row["true_revenue"]["amount_minor"] for row in users["items"]}
    assert earned == {p.email: 0 for p in told.everybody.values()} | {told.user.email: 4_500}
    assert users["totals"]["true_revenue"] == usd(4_500)
    assert users["totals"]["agent_share"] == usd(225)
    lines = told.finance.gets("/api/revenue/modules")
    assert sorted(line["true_revenue"]["amount_minor"] for line in lines["items"]) == [
        0,
        2_000,
        2_500,
    ]
    assert lines["totals"]["revenue"] == usd(750)
    deployments = told.admin.lists("/api/deployments", scope="all")
    assert sorted((d["module_name"], d["status"]) for d in deployments) == [
        ("static-website", "SUCCESS"),
        ("status-page", "SUCCESS"),
        ("status-page", "SUCCESS"),
        ("vpn-gateway", "FAILED"),
    ]
    balances = {name: balance(person) for name, person in told.everybody.items()}
    assert balances == dict.fromkeys(told.everybody, (0, 0, 0)) | {
        "user": (0, 55, 0),
        "newcomer": (100, 0, 0),
    }


def user_revenue(person: Any, user_id: str) -> Any:
    """Return a user's row of the revenue report, as somebody sees it."""
    [row] = [r for r in person.gets("/api/revenue/users")["items"] if r["user_id"] == user_id]
    return row


def statuses(seen: Any, deployment_id: str) -> set[str]:
    """Return the statuses of a deployment that were told live."""
    told = [json.loads(h.data) for h in seen if h.kind == "deployment"]
    return {event["status"] for event in told if event["id"] == deployment_id}


def text(seen: Any) -> str:
    """Return all that came, as one text."""
    return "\n".join(happening.data for happening in seen)
