"""A deployment's revenue, opened down to the events that it follows from."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from contracts.types import LotKind
from services.gateway.explanations import explain, read_evidence
from services.gateway.http.access import only
from services.gateway.http.parameters import Asker, IdInPath, TheGateway
from services.gateway.http.percentages import percentage
from services.gateway.http.problems import ProblemError
from services.gateway.http.revenue import LineKind
from services.gateway.http.route import resource
from services.gateway.http.shapes import Amount, Output

router = resource("Revenue")

SEE_ALL: Final = ("finance", "admin")


class ExplainedSettlement(Output):
    """What the ledger recorded with the hold that was settled, as far as it is the asker's."""

    hold_id: str
    user_id: str | None
    partner_id: str | None
    agent_id: str | None
    cost: int
    list_price: int
    algorithm_version: int
    settings_version: int
    partner_percent: str | None
    agent_percent: str | None
    placed_at: datetime
    settled_at: datetime


class ExplainedSlice(Output):
    """Credits `start` up to but not including `end` of a lot; `computed` by `formula`."""

    lot_id: str
    lot_kind: LotKind
    lot_credits: int
    lot_price: Amount
    start: int
    end: int
    revenue: Amount
    computed: Amount
    formula: str


class ExplainedShare(Output):
    """A payee's line. Remainders are ten-thousandths of a minor unit, carried on."""

    payee_id: str
    payee_role: Literal["partner", "agent"]
    sequence: int
    share_percent: str
    share: Amount
    running_total: Amount
    remainder_before: int
    remainder_after: int
    formula: str
    agrees: bool


class ExplainedEntry(Output):
    """The ledger's message that a line follows from; `known` where it is among the events."""

    message_id: str
    stream: str
    sequence: int
    known: bool


class ExplainedLine(Output):
    """A line of revenue; `agrees` where computing it again gives the same."""

    line: int
    kind: LineKind
    reverses: int | None
    cause: str | None
    recognized_at: datetime
    credit_cost: int
    purchased_credits: int
    true_revenue: Amount
    slices: list[ExplainedSlice]
    shares: list[ExplainedShare]
    follows_from: ExplainedEntry
    agrees: bool


class ExplainedLot(Output):
    """A lot that slices are of; what was paid with is for finance and admins."""

    lot_id: str
    kind: LotKind
    credits: int
    price: Amount
    currency: str
    granted_at: datetime
    expires_at: datetime | None
    source: str | None
    payment_id: str | None
    checkout_id: str | None


class ExplainedEvent(Output):
    """A message, and the place and chained hash of the stored fact behind it."""

    type: str
    stream: str
    sequence: int
    message_id: str
    at: datetime
    fact_version: int | None
    fact_hash: str | None


class ExplainedTotals(Output):
    """What all lines come to."""

    credit_cost: int
    purchased_credits: int
    true_revenue: Amount
    shares: dict[str, Amount]


class Explanation(Output):
    """How a deployment's revenue came about; `agrees` where all of it can be computed again."""

    deployment_id: str
    module_id: str
    module_name: str
    module_version: int
    currency: str
    settlement: ExplainedSettlement
    lines: list[ExplainedLine]
    lots: list[ExplainedLot]
    events: list[ExplainedEvent]
    totals: ExplainedTotals
    agrees: bool


@router.get("/api/revenue/explain/{deployment_id}")
@only("partner", "agent", "finance", "admin")
async def explain_revenue(
    gateway: TheGateway, asker: Asker, deployment_id: IdInPath
) -> Explanation:
    """Open what a deployment earned: settlement, slices, lots, shares, rounding, events.

    Partners and agents see it for deployments that owe them a share, and only theirs.
    """
    async with gateway.connection() as connection:
        evidence = await read_evidence(connection, deployment_id)
    found = explain(evidence, payee_id=None if asker.has(*SEE_ALL) else asker.user_id)
    if found is None:
        raise ProblemError("NOT_FOUND")
    settlement = found["settlement"]
    concerned = {
        settlement["partner_id"] if asker.has("partner") else None,
        settlement["agent_id"] if asker.has("agent") else None,
    }
    if not asker.has(*SEE_ALL) and asker.user_id not in concerned:
        raise ProblemError("NOT_FOUND")
    return Explanation.model_validate(_as_told(found, found["currency"]))


def _as_told(value: Any, currency: str) -> Any:
    """Return a value as the API has it: money with its currency, percentages as texts."""
    if isinstance(value, list):
        return [_as_told(each, currency) for each in value]
    if not isinstance(value, Mapping):
        return value
    told: dict[str, Any] = {}
    for name, each in value.items():
        if name.endswith("_basis_points"):
            text = None if each is None else percentage(each)
            told[f"{name.removesuffix('_basis_points')}_percent"] = text
        elif name.endswith("_minor"):
            told[name.removesuffix("_minor")] = _money(each, currency)
        else:
            told[name] = _as_told(each, currency)
    return told


def _money(amount: Any, currency: str) -> Any:
    if isinstance(amount, Mapping):
        return {name: _money(each, currency) for name, each in amount.items()}
    return Amount(amount_minor=amount, currency=currency)
