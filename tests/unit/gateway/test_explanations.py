"""A deployment's revenue, opened: by messages that revenue really makes of its facts."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from contracts.events import Event
from contracts.ledger import v1 as ledger
from contracts.types import Credits
from runtime.store import Recorded
from services.gateway.explanations import Evidence, explain
from services.revenue import decider, publishing, shares, subscribers
from services.revenue.events import PayeeState, RevenueState
from tests.integration.revenue.settlements import EMPTY, Wallet, hold, purchased, settled

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HASH = "ab" * 32


class Story:
    """What ledger and revenue tell of one deployment, kept as evidence."""

    def __init__(self) -> None:
        self.evidence: list[Evidence] = []
        self.wallet = Wallet()
        self.revenue = RevenueState()
        self.payees: dict[str, PayeeState] = {}

    def tells(self, event: Any) -> None:
        """Have the ledger tell this, and revenue answer it."""
        envelope = self.wallet.says(event).envelope
        self._keep(
            event, "deployment d1", envelope.subject, envelope.sequence, message_id=envelope.id
        )
        command = subscribers.revenue_command(envelope)
        for line in decider.decide_revenue(command, self.revenue):
            self.revenue = decider.evolve_revenue(self.revenue, line)
            self._publish(publishing.publish_revenue, "revenue-d1", self.revenue.lines, line)
            for share in shares.shares_of(line):
                state = self.payees.get(share.payee_id, PayeeState())
                for fact in shares.decide_payee(share, state):
                    state = shares.evolve_payee(state, fact)
                    name = f"payee-{share.payee_id}"
                    self._publish(publishing.publish_payee, name, state.lines, fact)
                self.payees[share.payee_id] = state

    def _publish(self, publish: Any, stream: str, version: int, fact: Any) -> None:
        record: Recorded[Any] = Recorded(
            stream=stream,
            version=version,
            at=NOON,
            fact=fact,
            id=f"{stream}-{version}",
            correlation_id="c",
            causation_id=None,
            actor="ledger",
        )
        for event in publish(record):
            self._keep(event, "deployment d1", stream, version)

    def _keep(
        self, event: Event, about: str, stream: str, sequence: int, message_id: str = "m"
    ) -> None:
        self.evidence.append(
            Evidence(
                about=about,
                stream=stream,
                sequence=sequence,
                message_id=message_id,
                type=event.type_name(),
                at=NOON,
                fact_version=sequence,
                fact_hash=HASH,
                data=msgspec.json.decode(event.model_dump_json()),
            )
        )


def a_refunded_deployment() -> Story:
    """Spent 20 of 100 credits for 100.00, of which 5 were refunded."""
    story = Story()
    record = hold(purchased(0, 20), deployment="d1", partner="pia", agent="arno")
    story.tells(settled(record))
    story.tells(
        ledger.SettlementRefunded(
            user_id="ursula",
            balance=EMPTY,
            refund_id="refund-1",
            hold=record,
            slices=(purchased(15, 20),),
            debt_cancelled=(),
            credits=Credits(5),
            refunded_total=Credits(5),
            reason="slow",
            refunded_by="fred",
            refunded_at=NOON,
        )
    )
    return story


def test_every_line_is_opened_down_to_slices_shares_and_events() -> None:
    found = explain(a_refunded_deployment().evidence)

    assert found is not None
    assert found["agrees"]
    first, second = found["lines"]
    assert (first["kind"], first["true_revenue_minor"]) == ("settled", 2_000)
    assert (second["kind"], second["reverses"], second["cause"]) == (
        "settlement_refunded",
        1,
        "refund-1",
    )
    [taken] = second["slices"]
    assert taken["formula"] == "floor(10000 x 20 / 100) - floor(10000 x 15 / 100)"
    assert (taken["revenue_minor"], taken["computed_minor"]) == (-500, -500)
    agent = next(share for share in second["shares"] if share["payee_id"] == "arno")
    assert agent["formula"] == "floor((0 + -500 x 505) / 10000) = -26, carry 7500"
    assert all(line["follows_from"]["known"] for line in found["lines"])
    assert {event["fact_hash"] for event in found["events"]} == {HASH}
    assert found["totals"]["shares_minor"] == {"pia": 450, "arno": 75}


def test_a_payee_sees_their_own_shares_and_nothing_of_the_buyer() -> None:
    found = explain(a_refunded_deployment().evidence, payee_id="pia")

    assert found is not None
    assert {share["payee_id"] for line in found["lines"] for share in line["shares"]} == {"pia"}
    settlement = found["settlement"]
    assert (settlement["user_id"], settlement["agent_id"]) == (None, None)
    assert settlement["agent_basis_points"] is None
    assert settlement["partner_basis_points"] == 3_000
    assert not [event for event in found["events"] if event["stream"] == "payee-arno"]


def test_a_figure_that_cannot_be_computed_again_is_said() -> None:
    story = a_refunded_deployment()
    for place, kept in enumerate(story.evidence):
        if kept.fact == "share_accrued" and kept.data["payee_id"] == "pia":
            told = {**kept.data, "share": {"amount_minor": 601, "currency": "USD"}}
            story.evidence[place] = Evidence(**{**vars(kept), "data": told})

    found = explain(story.evidence)

    assert found is not None
    assert not found["agrees"]
    assert [line["agrees"] for line in found["lines"]] == [False, True]


def test_a_line_that_is_missing_is_noticed() -> None:
    story = a_refunded_deployment()
    story.evidence = [kept for kept in story.evidence if kept.fact != "revenue_reversed"]

    found = explain(story.evidence)
    assert found is not None
    assert not found["agrees"]


def test_what_was_never_settled_has_no_revenue_to_explain() -> None:
    assert explain([]) is None
