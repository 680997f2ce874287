"""The typed columns of a sealed segment: what a figure needs of a fact, without decoding its body.

A row is a fact. Balances, true revenue, shares and the running-minimum check of every split can
be computed from these columns alone, next to the raw `stream`, `version` and `at`, in any engine
that reads Parquet. They are derived: whoever verifies a segment computes them again from the body.

Inside a segment the rows stand by the bytes of the stream's name and then by version, so a
wallet's facts lie together and in order; a wallet goes on in later segments. Facts of other kinds
of streams have a row too, with nulls for texts and zeros for numbers.

- `awarded_credits`, `purchased_credits`: how many credits the fact is about, never negative.
- `…_after`: the wallet's balance as the fact recorded it.
- `standard_cost`: what a placed hold asked of awarded and purchased credits alike; 0 for every
  other fact, and for a hold that may only take purchased credits or takes none.
- `true_revenue_minor`: what the fact earned, negative where it takes earnings back.
- `partner_basis_points`, `agent_basis_points`: the shares of it that somebody earns; 0 where
  nobody does, as from a deployment of one's own. An exact entitlement is their product, in
  ten-thousandths of a minor unit; it may exceed 64 bits.
- `hold_key`: the first eight bytes of the SHA-256 of `hold_id`, big-endian and signed, to join by.
- `slices`: every slice the fact names, with what became of it.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from contracts import money_rules
from runtime.store import FactRow
from services.ledger.events import (
    CreditsAdjusted,
    CreditsAwarded,
    CreditsExpired,
    CreditsPurchased,
    Fact,
    Hold,
    HoldPlaced,
    HoldRefused,
    HoldReleased,
    HoldSettled,
    Lot,
    Slice,
)

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
    ]
)
BALANCE: Final = (
    "awarded_after",
    "purchased_after",
    "awarded_held_after",
    "purchased_held_after",
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
        pa.field("awarded_credits", pa.int64(), nullable=False),
        pa.field("purchased_credits", pa.int64(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in BALANCE),
        pa.field("standard_cost", pa.int64(), nullable=False),
        pa.field("true_revenue_minor", pa.int64(), nullable=False),
        pa.field("partner_basis_points", pa.int64(), nullable=False),
        pa.field("agent_basis_points", pa.int64(), nullable=False),
        pa.field("lot", LOT),
        pa.field("slices", pa.list_(pa.field("item", SLICE, nullable=False)), nullable=False),
    ]
)

_WALLET: Final = "wallet-"
_DECODER: Final = msgspec.json.Decoder(Fact)


class _Row(NamedTuple):
    """One row, in the order of the schema."""

    user_id: str | None = None
    fact: str | None = None
    hold_id: str | None = None
    hold_key: int = 0
    deployment_id: str | None = None
    module_id: str | None = None
    partner_id: str | None = None
    agent_id: str | None = None
    currency: str | None = None
    awarded_credits: int = 0
    purchased_credits: int = 0
    awarded_after: int = 0
    purchased_after: int = 0
    awarded_held_after: int = 0
    purchased_held_after: int = 0
    standard_cost: int = 0
    true_revenue_minor: int = 0
    partner_basis_points: int = 0
    agent_basis_points: int = 0
    lot: dict[str, Any] | None = None
    slices: Sequence[dict[str, Any]] = ()


class _Meaning(NamedTuple):
    """What a fact says, whatever its type: what it is about, and which slices met which fate."""

    hold: Hold | None = None
    lot: Lot | None = None
    slices: tuple[tuple[str, Slice], ...] = ()
    earned: int = 0


def typed_columns(rows: Sequence[FactRow]) -> dict[str, pa.Array]:
    """Return an array for each column of the schema, a value for each of the stored facts.

    `msgspec.ValidationError` where the body of a wallet's fact is not one.
    """
    return arrays_of([(row.stream, _decoded(row)) for row in rows])


def arrays_of(facts: Sequence[tuple[str, Fact | None]]) -> dict[str, pa.Array]:
    """Return the columns of facts that are decoded already, each with its stream's name."""
    found = [_row(stream, fact) for stream, fact in facts]
    columns = list(zip(*found, strict=True)) or [()] * len(SCHEMA)
    return {
        field.name: pa.array(values, field.type)
        for field, values in zip(SCHEMA, columns, strict=True)
    }


def _decoded(row: FactRow) -> Fact | None:
    return _DECODER.decode(row.body) if row.stream.startswith(_WALLET) else None


_NOTHING: Final = _Row()


def _row(stream: str, fact: Fact | None) -> _Row:
    if fact is None:
        return _NOTHING
    meaning = _meaning(fact)
    awarded, purchased = _credits(meaning)
    balance = fact.balance
    common: dict[str, Any] = {
        "user_id": stream.removeprefix(_WALLET),
        "fact": fact.__struct_config__.tag,
        "awarded_credits": awarded,
        "purchased_credits": purchased,
        "awarded_after": balance.awarded,
        "purchased_after": balance.purchased,
        "awarded_held_after": balance.awarded_held,
        "purchased_held_after": balance.purchased_held,
        "true_revenue_minor": meaning.earned,
        "lot": None if meaning.lot is None else _lot(meaning.lot),
        "slices": [_slice(fate, each) for fate, each in meaning.slices],
    }
    return _Row(**common, **_of_hold(fact, meaning))


def _of_hold(fact: Fact, meaning: _Meaning) -> dict[str, Any]:
    hold = meaning.hold
    if isinstance(fact, HoldRefused):
        return {
            "hold_id": fact.hold_id,
            "hold_key": hold_key(fact.hold_id),
            "deployment_id": fact.deployment_id,
        }
    if hold is None:
        return {"currency": None if meaning.lot is None else meaning.lot.currency}
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


def _meaning(fact: Fact) -> _Meaning:
    match fact:
        case CreditsAwarded(lot=lot) | CreditsPurchased(lot=lot):
            return _Meaning(lot=lot)
        case HoldPlaced(hold=hold):
            return _Meaning(hold, None, _with_fate("held", hold.slices))
        case HoldSettled(hold=hold):
            return _Meaning(hold, None, _with_fate("spent", hold.slices), revenue_of(hold.slices))
        case HoldReleased(hold=hold):
            return _Meaning(hold, None, _with_fate("released", hold.slices))
        case CreditsExpired(slices=slices):
            return _Meaning(slices=_with_fate("expired", slices))
        case CreditsAdjusted(slices=slices):
            return _Meaning(slices=_with_fate("adjusted", slices))
        case HoldRefused():
            return _Meaning()


def revenue_of(slices: Sequence[Slice]) -> int:
    """Return the true revenue of slices, in minor units."""
    return sum(
        money_rules.slice_revenue(
            lot_kind=each.lot_kind,
            price_minor=each.lot_price_minor,
            lot_credits=each.lot_credits,
            start=each.start,
            end=each.end,
        )
        for each in slices
    )


def payees_of(hold: Hold) -> tuple[money_rules.Payee, ...]:
    """Return who earns a share of what a hold earns."""
    return money_rules.payees(
        user_id=hold.user_id,
        partner_id=hold.partner_id,
        agent_id=hold.agent_id,
        partner_basis_points=hold.share_rule.partner_basis_points,
        agent_basis_points=hold.share_rule.agent_basis_points,
    )


def hold_key(hold_id: str) -> int:
    """Return 64 bits that stand for a hold, to join by without comparing texts."""
    return int.from_bytes(sha256(hold_id.encode()).digest()[:8], "big", signed=True)


def _with_fate(fate: str, slices: Sequence[Slice]) -> tuple[tuple[str, Slice], ...]:
    return tuple((fate, each) for each in slices)


def _credits(meaning: _Meaning) -> tuple[int, int]:
    lot = meaning.lot
    if lot is not None:
        return (0, lot.credits) if lot.kind == "purchase" else (lot.credits, 0)
    awarded = purchased = 0
    for _, each in meaning.slices:
        if each.purchased:
            purchased += each.credits
        else:
            awarded += each.credits
    return awarded, purchased


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
    }
