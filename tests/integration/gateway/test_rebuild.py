"""Read models follow from facts alone: made anew, in another order, they are the same."""

import asyncio
import json
import random
from collections import defaultdict
from typing import Any, Final

import msgspec

from contracts.catalog.v1 import ModuleWithdrawn
from contracts.envelope import Envelope
from contracts.gateway.v1 import AwardRequested
from runtime.store import Recorded
from services.gateway.main import build
from services.gateway.publishing import KINDS
from tests.integration.gateway.api import Api
from tests.integration.gateway.neighbours import (
    NOON,
    deploys,
    earns,
    features,
    loses,
    publishes,
    rates,
)
from tests.integration.gateway.test_statements import MONTH, closed, seals
from tests.integration.gateway.wallets import Ledger, awarded_slice, purchased_slice

READ_MODELS: Final = (
    *("users", "settings", "settings_secrets", "modules", "module_versions", "syncs", "wallets"),
    *("lots", "credit_history", "holds", "deployments", "deployment_statuses", "builds"),
    *("deployment_counts", "revenue_lines", "revenue_shares", "requests"),
    *("pins", "ratings", "module_deployments", "module_words"),
    *("revenue_days", "revenue_months", "revenue_referrals", "revenue_disputes"),
    *("months", "statements", "audited"),
)
FACTS: Final = {kind.name: kind.facts for kind in KINDS}


async def a_busy_day(api: Api) -> None:
    """Have a little of everything happen."""
    admin, ada = await api.person("admin"), await api.person()
    partner, agent = await api.person("partner"), await api.person("agent")
    secret = {"url": "/srv/modules", "token": "hush"}
    await admin.asks("PATCH", "/api/settings", {"platform_repository": secret, "signup_award": 0})
    await admin.asks("PATCH", f"/api/users/{ada.id}", {"referred_by": agent.id, "roles": ["agent"]})
    await admin.asks("PATCH", f"/api/users/{agent.id}", {"active": False})
    await admin.posts("/api/syncs", {"scope": "platform"}, status=202)
    for version in (1, 2):
        await publishes(api, partner_id=partner.id, version=version)
    await publishes(api, "m-2", title="Database")
    await api.tells("module-m-2", ModuleWithdrawn(module_id="m-2", withdrawn_at=NOON))
    wallet = Ledger(api, ada.id)
    asking = asyncio.create_task(
        admin.posts("/api/credits/awards", {"user_id": ada.id, "credits": 30, "reason": "x"})
    )
    request = await api.asked(AwardRequested)
    awarded = await wallet.awards(30, correlation_id=request.correlationid)
    await asking
    bought = await wallet.sells(100, 10_000)
    for number in range(2):
        deployer = await deploys(api, ada, cost=20, awarded=10, partner_id=partner.id)
        hold = await wallet.holds(
            deployer.asked.deployment_id,
            (
                awarded_slice(awarded, number * 10, number * 10 + 10, 30),
                purchased_slice(bought, number * 10, number * 10 + 10, 100, 10_000),
            ),
            partner_id=partner.id,
            agent_id=agent.id,
        )
        await deployer.starts()
        if number:
            await deployer.fails("no such zone", owns_resources=True)
            await wallet.releases(hold)
        else:
            await deployer.succeeds({})
            await rates(api, ada, deployer.asked.deployment_id, 4, total=(4, 1))
            await wallet.settles(hold)
            await earns(api, hold, true_revenue=1_000, partner_share=300, agent_share=50)
            await loses(api, hold, true_revenue=-1_000, partner_share=-300, purchased=-10, left=0)
    await features(api, admin)
    for module_id in ("m-1", "m-2"):
        await ada.asks("PUT", f"/api/modules/{module_id}/pin")
    await ada.asks("DELETE", "/api/modules/m-2/pin")
    await seals(api, partner.id)
    await api.tells(f"month-{MONTH}", closed())
    await wallet.disputed(bought)
    await wallet.expires(awarded_slice(awarded, 10, 20, 30))
    await wallet.adjusts(awarded_slice(awarded, 20, 25, 30))


async def own_facts(api: Api) -> list[Recorded[Any]]:
    rows = await api.running.pool.fetch("select * from facts order by position")
    return [
        Recorded(
            stream=row["stream"],
            version=row["version"],
            at=row["at"],
            fact=msgspec.json.decode(row["body"], type=FACTS[row["stream"].partition("-")[0]]),
            id=row["id"],
            correlation_id=row["correlation_id"],
            causation_id=row["causation_id"],
            actor=row["actor"],
        )
        for row in rows
    ]


def shuffled(told: list[Envelope[Any]], seed: int) -> list[Envelope[Any]]:
    """Return the messages with their streams mixed anew; each stream keeps its order."""
    streams: defaultdict[str, list[Envelope[Any]]] = defaultdict(list)
    for envelope in told:
        streams[envelope.subject].append(envelope)
    turns = [envelope.subject for envelope in told]
    random.Random(seed).shuffle(turns)
    return [streams[stream].pop(0) for stream in turns]


async def tables(api: Api) -> dict[str, list[str]]:
    return {
        table: sorted(
            json.dumps(dict(row), default=str)
            for row in await api.running.pool.fetch(f"select * from {table}")
        )
        for table in READ_MODELS
    }


async def test_read_models_made_anew_in_another_order_are_the_same(api: Api) -> None:
    await a_busy_day(api)
    live = await tables(api)
    assert all(live.values()), [table for table, rows in live.items() if not rows]
    facts = await own_facts(api)

    for seed in range(5):
        async with api.running.pool.acquire() as connection, connection.transaction():
            for table in READ_MODELS:
                await connection.execute(f"delete from {table}")
            for projection in build(api.running.settings).projections:  # type: ignore[arg-type]  # the gateway's
                await projection.apply(connection, [*facts, *shuffled(api.told, seed)])  # type: ignore[arg-type]  # the pool's
        assert await tables(api) == live, seed


async def test_what_is_applied_twice_counts_once_but_for_what_adds_up(api: Api) -> None:
    await a_busy_day(api)
    live = await tables(api)
    adds_up = {"lots", "deployment_counts"}

    async with api.running.pool.acquire() as connection, connection.transaction():
        for projection in build(api.running.settings).projections:  # type: ignore[arg-type]  # the gateway's
            await projection.apply(connection, [*await own_facts(api), *api.told])  # type: ignore[arg-type]  # the pool's

    again = await tables(api)
    assert {t for t in READ_MODELS if again[t] != live[t]} <= adds_up
