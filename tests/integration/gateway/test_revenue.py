"""Revenue, as those see it whose it is."""

import pytest

from tests.integration.gateway.api import Api
from tests.integration.gateway.neighbours import NOON, deploys, earns, publishes, share_of
from tests.integration.gateway.wallets import Ledger, purchased_slice


async def test_everybody_sees_what_is_theirs(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person(email="ada@example.com")
    partner, other = await api.person("partner"), await api.person("partner")
    agent = await api.person("agent")
    admin = await api.person("admin")
    await admin.asks("PATCH", f"/api/users/{ada.id}", {"referred_by": agent.id})
    await publishes(api, partner_id=partner.id, cost=20)
    wallet = Ledger(api, ada.id)
    lot = await wallet.sells(100, 10_000)
    deployer = await deploys(api, ada, cost=20, awarded=0, partner_id=partner.id)
    hold = await wallet.holds(
        deployer.asked.deployment_id,
        (purchased_slice(lot, 0, 20, 100, 10_000),),
        partner_id=partner.id,
        agent_id=agent.id,
    )
    await deployer.succeeds({})
    await wallet.settles(hold)
    await earns(api, hold, true_revenue=2_000, partner_share=600, agent_share=200)

    for person in (partner, finance, admin):
        revenue = await person.gets("/api/revenue/modules")
        [line] = revenue["items"]
        assert line["true_revenue"] == {"amount_minor": 2_000, "currency": "USD"}
        assert line["revenue"] == {"amount_minor": 600, "currency": "USD"}
        assert (line["purchased_credits"], line["status"]) == (20, "PAYABLE")
        assert revenue["totals"]["revenue"]["amount_minor"] == 600
        assert "user" not in str(line)
    empty = await other.gets("/api/revenue/modules")
    assert (empty["items"], empty["totals"]["lines"]) == ([], 0)
    hidden = await other.gets("/api/revenue/modules", partner_id=partner.id)
    assert (hidden["items"], hidden["totals"]["lines"]) == ([], 0)

    theirs = await agent.gets("/api/revenue/users")
    [row] = theirs["items"]
    assert (row["email"], row["total_deployments"]) == ("ada@example.com", 1)
    assert row["agent_share"] == {"amount_minor": 200, "currency": "USD"}
    everybody = await finance.gets("/api/revenue/users")
    assert everybody["totals"]["users"] == 6
    assert everybody["totals"]["true_revenue"]["amount_minor"] == 2_000
    assert len(everybody["items"]) == 6
    for person, path in ((ada, "modules"), (ada, "users"), (partner, "users"), (agent, "modules")):
        await person.is_refused("GET", f"/api/revenue/{path}", status=403, code="FORBIDDEN")


@pytest.mark.parametrize("share_comes_first", [False, True])
async def test_a_line_is_shown_once_the_shares_of_it_are_known(
    api: Api, share_comes_first: bool
) -> None:
    finance, ada = await api.person("finance"), await api.person()
    partner = await api.person("partner")
    wallet = Ledger(api, ada.id)
    lot = await wallet.sells(100, 10_000)
    hold = await wallet.holds(
        "d-1", (purchased_slice(lot, 0, 20, 100, 10_000),), partner_id=partner.id
    )
    await wallet.settles(hold)

    async def line_comes() -> None:
        await earns(api, hold, true_revenue=2_000, partner_share=600, shares_told=False)

    async def share_comes() -> None:
        share = share_of(hold, partner.id, "partner", 2_000, 600)
        await api.tells(f"payee-{partner.id}", share)

    steps = [share_comes, line_comes] if share_comes_first else [line_comes, share_comes]
    await steps[0]()
    before = await finance.gets("/api/revenue/modules")
    await steps[1]()
    after = await finance.gets("/api/revenue/modules")

    assert before["items"] == []
    assert [line["revenue"]["amount_minor"] for line in after["items"]] == [600]


async def test_revenue_is_filtered_by_when_it_was_recognised(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    wallet = Ledger(api, ada.id)
    lot = await wallet.sells(100, 10_000)
    for number in range(3):
        bounds = (purchased_slice(lot, number * 10, number * 10 + 10, 100, 10_000),)
        hold = await wallet.holds(f"d-{number}", bounds)
        await wallet.settles(hold)
        await earns(api, hold, true_revenue=1_000)

    day = NOON.date().isoformat()
    on_the_day = await finance.gets("/api/revenue/modules", **{"from": day, "to": day})
    before = await finance.gets("/api/revenue/modules", to="2026-02-28")
    users = await finance.gets("/api/revenue/users", to="2026-02-28", search=ada.email)
    first = await finance.gets("/api/revenue/modules", limit=2)
    rest = await finance.gets("/api/revenue/modules", limit=2, cursor=first["next_cursor"])

    assert on_the_day["totals"]["true_revenue"]["amount_minor"] == 3_000
    assert (before["items"], before["totals"]["lines"]) == ([], 0)
    assert [row["true_revenue"]["amount_minor"] for row in users["items"]] == [0]
    ids = [line["deployment_id"] for line in first["items"] + rest["items"]]
    assert sorted(ids) == ["d-0", "d-1", "d-2"]
    assert first["totals"] == rest["totals"]


async def test_an_agents_totals_are_of_the_users_who_are_theirs_now(api: Api) -> None:
    """What a user earned an agent stays the agent's; but who has left is listed no more."""
    admin, finance, agent = [await api.person(role) for role in ("admin", "finance", "agent")]
    stays, leaves, comes = [await api.person() for _ in range(3)]
    for user in (stays, leaves):
        await admin.asks("PATCH", f"/api/users/{user.id}", {"referred_by": agent.id})
    for number, user in enumerate((stays, leaves, comes)):
        wallet = Ledger(api, user.id)
        lot = await wallet.sells(100, 10_000)
        hold = await wallet.holds(
            f"d-{number}",
            (purchased_slice(lot, 0, 20, 100, 10_000),),
            agent_id=None if user is comes else agent.id,
        )
        await wallet.settles(hold)
        share = None if user is comes else 100 + number
        await earns(api, hold, true_revenue=2_000, agent_share=share)
    await admin.asks("PATCH", f"/api/users/{leaves.id}", {"referred_by": None})
    await admin.asks("PATCH", f"/api/users/{comes.id}", {"referred_by": agent.id})

    for person, whole in ((agent, 100), (finance, 201)):
        for filters in ({}, {"from": f"{NOON:%Y-%m-%d}"}, {"search": "@"}, {"to": "2020-01-01"}):
            answer = await person.gets("/api/revenue/users", limit=100, **filters)
            for name in ("true_revenue", "agent_share"):
                summed = sum(item[name]["amount_minor"] for item in answer["items"])
                assert answer["totals"][name]["amount_minor"] == summed, (name, filters)
            assert answer["totals"]["users"] == len(answer["items"])
            shares = answer["totals"]["agent_share"]["amount_minor"]
            assert shares == (0 if "to" in filters else whole)
