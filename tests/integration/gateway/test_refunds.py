"""What a deployment cost is given back by finance; and what refunds and disputes leave to see."""

import asyncio
from typing import Any

import pytest

from contracts.gateway.v1 import SettlementRefundRequested
from contracts.ledger import v1 as ledger
from contracts.types import Credits
from tests.integration.gateway.api import Api, Person
from tests.integration.gateway.neighbours import deploys, publishes
from tests.integration.gateway.wallets import Ledger, awarded_slice, purchased_slice

REASON = {"reason": "it was down"}


async def settled(api: Api, owner: Person) -> tuple[Ledger, ledger.Hold]:
    """Have a deployment paid for with 30 awarded credits and 20 of a purchase of 100."""
    await publishes(api)
    deployment_id = (await deploys(api, owner, {"region": "europe"})).asked.deployment_id
    wallet = Ledger(api, owner.id)
    award, lot = await wallet.awards(30), await wallet.sells(100, 10_000)
    slices = (awarded_slice(award, 0, 30, 30), purchased_slice(lot, 0, 20, 100, 10_000))
    hold = await wallet.holds(deployment_id, slices)
    await wallet.settles(hold)
    return wallet, hold


async def refunded(
    wallet: Ledger, hold: ledger.Hold, back: ledger.Slice, correlation_id: str
) -> None:
    """Have purchased credits of a settlement given back."""
    number = back.end - back.start
    wallet.purchased += number
    await wallet.tells(
        ledger.SettlementRefunded(
            user_id=wallet.user_id,
            balance=wallet.balance,
            refund_id=correlation_id,
            hold=hold,
            slices=(back,),
            debt_cancelled=(),
            credits=Credits(number),
            refunded_total=Credits(number),
            reason="it was down",
            refunded_by="finance",
            refunded_at=hold.placed_at,
        ),
        correlation_id,
    )


async def test_a_refund_is_answered_when_the_wallet_has_it(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    wallet, hold = await settled(api, ada)
    path = f"/api/deployments/{hold.deployment_id}/refund"

    asking = asyncio.create_task(finance.asks("POST", path, {"credits": 5, **REASON}))
    request = await api.asked(SettlementRefundRequested)
    lot_id = hold.slices[1].lot_id
    back = purchased_slice(lot_id, 15, 20, 100, 10_000)
    await refunded(wallet, hold, back, request.correlationid)
    answer = await asking

    assert answer.status_code == 201, answer.text
    line = answer.json()
    assert (line["type"], line["credits"], line["purchased_delta"]) == ("REFUND", 5, 5)
    assert (line["deployment_id"], line["balance_after"]) == (hold.deployment_id, 85)
    assert (request.data.user_id, request.data.credits) == (ada.id, 5)
    assert f"deployment-{hold.deployment_id}" in request.seen
    shown = await ada.gets(f"/api/deployments/{hold.deployment_id}")
    assert (shown["settlement"]["credits"], shown["settlement"]["refunded"]) == (50, 5)
    lots = {lot["id"]: lot for lot in (await ada.gets("/api/credits/lots"))["items"]}
    assert lots[lot_id]["remaining"] == 85


async def test_nobody_refunds_themselves_and_others_may_not_at_all(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    _, hold = await settled(api, admin)
    path = f"/api/deployments/{hold.deployment_id}/refund"

    await admin.is_refused("POST", path, REASON, status=403, code="SELF_AWARD")
    await ada.is_refused("POST", path, REASON, status=403, code="FORBIDDEN")
    await admin.is_refused(
        "POST", "/api/deployments/nothing/refund", REASON, status=404, code="NOT_FOUND"
    )
    kinds = await api.running.pool.fetch("select kind from requests")
    assert "refund" not in {row["kind"] for row in kinds}


@pytest.mark.parametrize("amount", [0, -5, 1.5, 5.0, "5", True, 2**63, 10**30], ids=repr)
async def test_only_whole_positive_credits_are_given_back(api: Api, amount: Any) -> None:
    finance = await api.person("finance")
    problem = await finance.is_refused(
        "POST",
        "/api/deployments/d-1/refund",
        {"credits": amount, **REASON},
        status=422,
        code="INVALID_INPUT",
    )
    assert [error["pointer"] for error in problem["errors"]] == ["/credits"]


async def test_a_refund_needs_a_reason(api: Api) -> None:
    finance = await api.person("finance")
    problem = await finance.is_refused(
        "POST", "/api/deployments/d-1/refund", {}, status=422, code="INVALID_INPUT"
    )
    assert [error["pointer"] for error in problem["errors"]] == ["/reason"]


async def test_what_the_ledger_refuses_is_told(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()
    _, hold = await settled(api, ada)
    path = f"/api/deployments/{hold.deployment_id}/refund"

    asking = asyncio.create_task(finance.asks("POST", path, {"credits": 51, **REASON}))
    request = await api.asked(SettlementRefundRequested)
    await api.tells(
        f"refusal-{request.correlationid}",
        ledger.RequestRefused(
            request_id=request.correlationid,
            code="REFUND_EXCEEDS_SETTLEMENT",
            detail="there are not that many",
            details={"required": 51, "available": 50},
        ),
        correlation_id=request.correlationid,
    )
    problem = (await asking).json()
    assert (problem["status"], problem["code"]) == (409, "REFUND_EXCEEDS_SETTLEMENT")
    assert (problem["required"], problem["available"]) == (51, 50)


async def test_a_disputed_and_lost_purchase_shows_what_is_frozen_void_and_owed(api: Api) -> None:
    ada = await api.person()
    wallet, hold = await settled(api, ada)
    lot_id = hold.slices[1].lot_id
    rest = purchased_slice(lot_id, 20, 100, 100, 10_000)
    frozen = wallet.balance.model_copy(update={"purchased_frozen": 80})
    about: dict[str, Any] = {"user_id": ada.id, "lot_id": lot_id, "currency": "USD"}
    await wallet.tells(
        ledger.DisputeOpened(
            **about,
            balance=frozen,
            dispute_id="du_1",
            bonus_lot_id=None,
            amount_minor=10_000,
            slices=(rest,),
            payment_id="pi_1",
            reason="fraudulent",
        )
    )
    balance = await ada.gets("/api/credits/balance")
    assert (balance["total"], balance["frozen"], balance["available"]) == (80, 80, 0)
    assert await status_of(ada, lot_id) == ("DISPUTED", 80, 80, 0)

    wallet.purchased = 0
    await wallet.tells(
        ledger.PurchaseRefunded(
            **about,
            balance=wallet.balance,
            refund_id="du_1",
            amount_minor=10_000,
            refunded_total_minor=10_000,
            slices=(rest,),
            held=(),
            ended=(),
            payment_id="pi_1",
            reason="lost",
            refunded_by="stripe",
        )
    )
    owed = wallet.balance.model_copy(update={"purchased": -20, "debt": 20})
    await wallet.tells(
        ledger.SettlementReversed(
            user_id=ada.id,
            balance=owed,
            hold=hold,
            slices=(hold.slices[1],),
            cause="du_1",
            refunded_total=Credits(0),
            reversed_at=hold.placed_at,
        )
    )
    await wallet.tells(
        ledger.DisputeClosed(
            user_id=ada.id,
            balance=owed,
            dispute_id="du_1",
            lot_id=lot_id,
            bonus_lot_id=None,
            outcome="LOST",
            slices=(),
        )
    )
    balance = await ada.gets("/api/credits/balance")
    assert (balance["purchased"], balance["debt"], balance["available"]) == (-20, 20, -20)
    assert await status_of(ada, lot_id) == ("REFUNDED", 0, 0, 100)
    lines = (await ada.gets("/api/credits/history"))["items"]
    assert [(line["type"], line["credits"], line["balance_after"]) for line in lines[:4]] == [
        ("DISPUTE", 0, -20),
        ("REVERSAL", -20, -20),
        ("PURCHASE_REFUND", -80, 0),
        ("DISPUTE", -80, 80),
    ]
    deltas = sum(line["awarded_delta"] + line["purchased_delta"] for line in lines)
    assert deltas == balance["total"]


async def status_of(owner: Person, lot_id: str) -> tuple[Any, ...]:
    """Return a lot's status, what remains of it, what of that is frozen, and what is void."""
    lots = {lot["id"]: lot for lot in (await owner.gets("/api/credits/lots"))["items"]}
    lot = lots[lot_id]
    return lot["status"], lot["remaining"], lot["frozen"], lot["refunded"]
