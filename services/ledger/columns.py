"""The typed columns of a sealed segment: what a figure needs of a fact, without decoding its body.

A row is a fact. Balances, true revenue, shares and the running-minimum check of every split can
be computed from these columns alone, next to the raw `stream`, `version` and `at`, in any engine
that reads Parquet. They are derived: whoever verifies a segment computes them again from the body.

Inside a segment the rows stand by the bytes of the stream's name and then by version, so a
wallet's facts lie together and in order; a wallet goes on in later segments. Facts of other kinds
of streams have a row too, with nulls for texts and zeros for numbers.

- `…_moved`: what the fact's slices add to what the wallet owns of awarded and of purchased
  credits (less debt), to what of each is held, and to its debt.
- `…_after`: the wallet's balance as the fact recorded it. What is frozen, the free credits of
  disputed lots, stands only here: a fact's slices do not say which lots are disputed.
- `…_spent`: what the fact adds to the credits that settlements were paid with, by their kind;
  negative where they come back, or where others take their place.
- `month`: the fact's month in UTC, 202603 for March 2026.
- `standard_cost`: what a placed hold asked of awarded and purchased credits alike; 0 for every
  other fact, and for a hold that may only take purchased credits or takes none.
- `true_revenue_minor`: what the fact earned, negative where it takes earnings back.
- `partner_basis_points`, `agent_basis_points`: the shares of it that somebody earns; 0 where
  nobody does, as from a deployment of one's own. An exact entitlement is their product, in
  ten-thousandths of a minor unit; it may exceed 64 bits.
- `hold_key`: the first eight bytes of the SHA-256 of `hold_id`, big-endian and signed, to join by.
- `slices`: every slice the fact names, with what became of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
import pyarrow as pa

from runtime.store import FactRow
from services.ledger.effects import Effect, effect_of, payees_of
from services.ledger.events import Fact, HoldPlaced, HoldRefused, Lot, Slice

VERSION: Final = 1
"""Of the columns' meaning; a segment's manifest names the one it was written with."""

SLICE: Final = pa.struct(
    [
        pa.field("fate", pa.string(), nullable=False),
        pa.field("lot_id", pa.string(), nullable=False),
        pa.field("lot_kind", pa.string(), nullable=False),
        pa.field("lot_credits", pa.int64(), nullable=False),
        pa.field("lot_price_minor", pa.int64(), nullable=False),
        pa.field("first_credit", pa.int64(), nullable=False),
        pa.field("end_credit", pa.int64(), nullable=False),
    ]
)
LOT: Final = pa.struct(
    [
        pa.field("lot_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("credits", pa.int64(), nullable=False),
        pa.field("price_minor", pa.int64(), nullable=False),
        pa.field("granted_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("expires_at", pa.timestamp("us", tz="UTC")),
        pa.field("bonus_of", pa.string()),
    ]
)
BALANCE: Final = (
    "awarded",
    "purchased",
    "awarded_held",
    "purchased_held",
    "awarded_frozen",
    "purchased_frozen",
    "debt",
)
"""The parts of a balance, in the order in which facts record them; each is a column `…_after`."""

MOVED: Final = ("awarded", "purchased", "awarded_held", "purchased_held", "debt")
"""The parts that follow from a fact's slices; each is a column `…_moved`."""

_NUMBERS: Final = (
    "month",
    *(f"{name}_moved" for name in MOVED),
    *(f"{name}_after" for name in BALANCE),
    "awarded_spent",
    "purchased_spent",
    "standard_cost",
    "true_revenue_minor",
    "partner_basis_points",
    "agent_basis_points",
)
SCHEMA: Final = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("fact", pa.string()),
        pa.field("hold_id", pa.string()),
        pa.field("hold_key", pa.int64(), nullable=False),
        pa.field("deployment_id", pa.string()),
        pa.field("module_id", pa.string()),
        pa.field("partner_id", pa.string()),
        pa.field("agent_id", pa.string()),
        pa.field("currency", pa.string()),
        *(pa.field(name, pa.int64(), nullable=False) for name in _NUMBERS),
        pa.field("lot", LOT),
        pa.field("slices", pa.list_(pa.field("item", SLICE, nullable=False)), nullable=False),
    ]
)

_WALLET: Final = "wallet-"
_DECODER: Final = msgspec.json.Decoder(Fact)


def typed_columns(rows: Sequence[FactRow]) -> dict[str, pa.Array]:
    """Return an array for each column of the schema, a value for each of the stored facts.

    `msgspec.ValidationError` where the body of a wallet's fact is not one.
    """
    return arrays_of([(row.stream, row.at, _decoded(row)) for row in rows])


def arrays_of(facts: Sequence[tuple[str, datetime, Fact | None]]) -> dict[str, pa.Array]:
    """Return the columns of facts that are decoded already, each with its stream and instant."""
    found = [_row(stream, at, fact) for stream, at, fact in facts]
    return {
        field.name: pa.array([row[field.name] for row in found], field.type) for field in SCHEMA
    }


def _decoded(row: FactRow) -> Fact | None:
    return _DECODER.decode(row.body) if row.stream.startswith(_WALLET) else None


_NOTHING: Final[Mapping[str, Any]] = {
    field.name: [] if field.name == "slices" else None if field.nullable else 0 for field in SCHEMA
}


def _row(stream: str, at: datetime, fact: Fact | None) -> Mapping[str, Any]:
    if fact is None:
        return _NOTHING
    effect = effect_of(fact)
    return (
        dict(_NOTHING)
        | {
            "user_id": stream.removeprefix(_WALLET),
            "fact": fact.__struct_config__.tag,
            "month": at.year * 100 + at.month,
            "currency": effect.lot.currency if effect.lot else None,
            "awarded_spent": effect.awarded_spent,
            "purchased_spent": effect.purchased_spent,
            "true_revenue_minor": effect.earns,
            "lot": _lot(effect.lot) if effect.lot else None,
            "slices": [_slice(fate, each) for fate, slices in effect.slices for each in slices],
        }
        | {f"{name}_after": getattr(fact.balance, name) for name in BALANCE}
        | {f"{name}_moved": number for name, number in effect.moved.items()}
        | _of_hold(fact, effect)
    )


def _of_hold(fact: Fact, effect: Effect) -> dict[str, Any]:
    hold = effect.hold
    if isinstance(fact, HoldRefused):
        return {
            "hold_id": fact.hold_id,
            "hold_key": hold_key(fact.hold_id),
            "deployment_id": fact.deployment_id,
        }
    if hold is None:
        return {}
    shares = {payee.role: payee.basis_points for payee in payees_of(hold)}
    standard = isinstance(fact, HoldPlaced) and hold.gate == "STANDARD"
    return {
        "hold_id": hold.hold_id,
        "hold_key": hold_key(hold.hold_id),
        "deployment_id": hold.deployment_id,
        "module_id": hold.module_id,
        "partner_id": hold.partner_id,
        "agent_id": hold.agent_id,
        "currency": hold.currency,
        "standard_cost": hold.cost if standard else 0,
        "partner_basis_points": shares.get("partner", 0),
        "agent_basis_points": shares.get("agent", 0),
    }


def hold_key(hold_id: str) -> int:
    """Return 64 bits that stand for a hold, to join by without comparing texts."""
    return int.from_bytes(sha256(hold_id.encode()).digest()[:8], "big", signed=True)


def _slice(fate: str, each: Slice) -> dict[str, Any]:
    return {
        "fate": fate,
        "lot_id": each.lot_id,
        "lot_kind": each.lot_kind,
        "lot_credits": each.lot_credits,
        "lot_price_minor": each.lot_price_minor,
        "first_credit": each.start,
        "end_credit": each.end,
    }


def _lot(lot: Lot) -> dict[str, Any]:
    return {
        "lot_id": lot.lot_id,
        "kind": lot.kind,
        "credits": lot.credits,
        "price_minor": lot.price_minor,
        "granted_at": lot.granted_at,
        "expires_at": lot.expires_at,
        "bonus_of": lot.bonus_of,
    }
