"""Opens a deployment's revenue down to what it was computed from.

Every figure is computed again here from what the ledger recorded, beside what revenue told; a
difference is said and never hidden. Amounts are in minor units, shares in basis points.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts import money_rules
from runtime.connection import Connection
from services.gateway.projections.evidence import about_deployment, about_lot

EVENTS_MAX: Final = 2_000
"""Messages that are read of one deployment: its builds, refunds and repayments."""

_LEDGER: Final = "tollgate.ledger."
_LINES: Final = ("revenue_recognized", "revenue_reversed")
_SHARES: Final = ("share_accrued", "share_reversed")


@dataclass(frozen=True)
class Evidence:
    """One message, as it was kept."""

    about: str
    stream: str
    sequence: int
    message_id: str
    type: str
    at: datetime
    fact_version: int | None
    fact_hash: str | None
    data: Mapping[str, Any]

    @property
    def fact(self) -> str:
        """What the message says happened: `hold_settled`."""
        return self.type.split(".")[2]


async def read_evidence(connection: Connection, deployment_id: str) -> list[Evidence]:
    """Return the messages of a deployment and of the lots that it took, in the order of time."""
    found = await _kept(connection, [about_deployment(deployment_id)])
    lots = {
        each["lot_id"]
        for message in found
        for name in ("slices", "reversed")
        for each in message.data.get(name, ())
    } | {
        each["lot_id"]
        for message in found
        for each in message.data.get("hold", {}).get("slices", ())
    }
    return found + await _kept(connection, [about_lot(lot_id) for lot_id in sorted(lots)])


async def _kept(connection: Connection, about: list[str]) -> list[Evidence]:
    rows = await connection.fetch(
        """select about, stream, sequence, message_id, type, at, fact_version, fact_hash, data
           from revenue_evidence where about = any ($1::text[])
           order by at, stream, sequence limit $2""",
        about,
        EVENTS_MAX,
    )
    return [Evidence(**{**dict(row), "data": json.loads(row["data"])}) for row in rows]


def explain(evidence: Sequence[Evidence], *, payee_id: str | None = None) -> dict[str, Any] | None:
    """Return how a deployment's revenue came about; nothing where it never settled.

    With a payee: their shares alone, and nothing of the buyer's payments.
    """
    settled = next((each for each in evidence if each.fact == "hold_settled"), None)
    if settled is None:
        return None
    hold = settled.data["hold"]
    whole = payee_id is None
    lines = [each for each in evidence if each.fact in _LINES]
    shares = [
        each
        for each in evidence
        if each.fact in _SHARES and (whole or each.data["payee_id"] == payee_id)
    ]
    by_message = {each.message_id: each for each in evidence}
    shown = [
        _line(line, [s for s in shares if s.data["line"] == line.data["line"]], by_message)
        for line in sorted(lines, key=lambda each: each.data["line"])
    ]
    events = [each for each in evidence if each.fact not in _SHARES or each in shares]
    return {
        "deployment_id": hold["deployment_id"],
        "module_id": hold["module_id"],
        "module_name": hold["module_name"],
        "module_version": hold["module_version"],
        "currency": hold["currency"],
        "settlement": _settlement(settled, payee_id),
        "lines": shown,
        "lots": [
            _lot(each, whole=whole)
            for each in evidence
            if each.about.startswith("lot ") and each.fact.startswith("credits_")
        ],
        "events": [_event(each) for each in events],
        "totals": _totals(shown),
        "agrees": all(line["agrees"] for line in shown)
        and _recomputed(evidence) == sum(line["true_revenue_minor"] for line in shown),
    }


def _settlement(settled: Evidence, payee_id: str | None) -> dict[str, Any]:
    hold = settled.data["hold"]
    rule = hold["share_rule"]
    partner = payee_id in (None, hold["partner_id"])
    agent = payee_id in (None, hold["agent_id"])
    return {
        "hold_id": hold["hold_id"],
        "user_id": hold["user_id"] if payee_id is None else None,
        "partner_id": hold["partner_id"] if partner else None,
        "agent_id": hold["agent_id"] if agent else None,
        "cost": hold["cost"],
        "list_price": hold["list_price"],
        "algorithm_version": hold["algorithm_version"],
        "settings_version": rule["settings_version"],
        "partner_basis_points": rule["partner_basis_points"] if partner else None,
        "agent_basis_points": rule["agent_basis_points"] if agent else None,
        "placed_at": hold["placed_at"],
        "settled_at": settled.data["settled_at"],
    }


def _line(
    line: Evidence, shares: Iterable[Evidence], by_message: Mapping[str, Evidence]
) -> dict[str, Any]:
    data = line.data
    sign = -1 if line.fact == "revenue_reversed" else 1
    slices = [_slice(each, sign) for each in data["slices"]]
    computed = sum(each["computed_minor"] for each in slices)
    told = [_share(each) for each in shares]
    entry = data["ledger_entry"]
    return {
        "line": data["line"],
        "kind": data.get("earning") or data["reversing"],
        "reverses": data.get("reverses"),
        "cause": data.get("cause"),
        "recognized_at": data["recognized_at"],
        "credit_cost": data["credit_cost"],
        "purchased_credits": data["purchased_credits"],
        "true_revenue_minor": data["true_revenue"]["amount_minor"],
        "slices": slices,
        "shares": told,
        "follows_from": {**entry, "known": entry["message_id"] in by_message},
        "agrees": computed == data["true_revenue"]["amount_minor"]
        and all(each["agrees"] for each in told),
    }


def _slice(valued: Mapping[str, Any], sign: int) -> dict[str, Any]:
    worth = sign * _worth(valued)
    price, whole = valued["lot_price_minor"], valued["lot_credits"]
    start, end = valued["start"], valued["end"]
    formula = (
        f"floor({price} x {end} / {whole}) - floor({price} x {start} / {whole})"
        if valued["lot_kind"] == "purchase"
        else "awarded credits earn 0"
    )
    return {**valued, "computed_minor": worth, "formula": formula}


def _worth(taken: Mapping[str, Any]) -> int:
    return money_rules.slice_revenue(
        lot_kind=taken["lot_kind"],
        price_minor=taken["lot_price_minor"],
        lot_credits=taken["lot_credits"],
        start=taken["start"],
        end=taken["end"],
    )


def _share(share: Evidence) -> dict[str, Any]:
    data = share.data
    revenue, points = data["true_revenue"]["amount_minor"], data["share_basis_points"]
    before = data["remainder_before"]
    minor, after = money_rules.accrue(remainder=before, revenue_minor=revenue, basis_points=points)
    return {
        "payee_id": data["payee_id"],
        "payee_role": data["payee_role"],
        "sequence": share.sequence,
        "share_basis_points": points,
        "share_minor": data["share"]["amount_minor"],
        "running_total_minor": data["running_total"]["amount_minor"],
        "remainder_before": before,
        "remainder_after": data["remainder_after"],
        "formula": f"floor(({before} + {revenue} x {points}) / 10000) = {minor}, carry {after}",
        "agrees": (minor, after) == (data["share"]["amount_minor"], data["remainder_after"]),
    }


def _lot(granted: Evidence, *, whole: bool) -> dict[str, Any]:
    lot = granted.data["lot"]
    same = ("lot_id", "kind", "credits", "price_minor", "currency", "granted_at", "expires_at")
    payments = ("payment_id", "checkout_id")
    return {
        **{name: lot[name] for name in same},
        "source": lot["source"] if whole else None,
        **{name: granted.data.get(name) if whole else None for name in payments},
    }


def _event(message: Evidence) -> dict[str, Any]:
    return {
        "type": message.type,
        "stream": message.stream,
        "sequence": message.sequence,
        "message_id": message.message_id,
        "at": message.at,
        "fact_version": message.fact_version,
        "fact_hash": message.fact_hash,
    }


def _totals(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    lines = list(lines)
    shares: dict[str, int] = {}
    for line in lines:
        for share in line["shares"]:
            payee = share["payee_id"]
            shares[payee] = shares.get(payee, 0) + share["share_minor"]
    return {
        "credit_cost": sum(line["credit_cost"] for line in lines),
        "purchased_credits": sum(line["purchased_credits"] for line in lines),
        "true_revenue_minor": sum(line["true_revenue_minor"] for line in lines),
        "shares_minor": shares,
    }


def _recomputed(evidence: Iterable[Evidence]) -> int:
    """Return the true revenue that the ledger's own messages come to."""
    total = 0
    for each in evidence:
        match each.fact if each.type.startswith(_LEDGER) else "":
            case "hold_settled":
                total += sum(_worth(taken) for taken in each.data["hold"]["slices"])
            case "debt_repaid":
                total += sum(_worth(taken) for taken in each.data["slices"])
            case "settlement_refunded" | "settlement_reversed":
                total -= sum(_worth(taken) for taken in each.data["slices"])
            case _:
                continue
    return total
