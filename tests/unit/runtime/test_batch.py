"""What a batch counts as decided, by which word, and how late."""

from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import REGISTRY

from contracts.envelope import Envelope
from contracts.events import Event
from runtime.batch import Batch
from runtime.ids import new_id
from runtime.refusal import Refusal
from runtime.work import Command, Outcome, Sent
from tests.support.counter import AddRequested, CounterAdded, CounterRefused

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOTHING: Final = Outcome(records=(), published=())


def asked(seconds_ago: float) -> Envelope[AddRequested]:
    return Envelope[AddRequested](
        id=new_id(),
        source="/tollgate/asker",
        type=AddRequested.type_name(),
        subject="asking-1",
        time=NOW - timedelta(seconds=seconds_ago),
        dataschema=AddRequested.schema_id(),
        partitionkey="asking-1",
        sequence=1,
        correlationid=new_id(),
        data=AddRequested(counter="1", amount=1),
    )


def sent(event: Event) -> Outcome:
    return Outcome(records=(), published=(Sent(event, "request-1"),))


ADDED: Final = sent(CounterAdded(amount=1))
REFUSED: Final = sent(CounterRefused(request_id=new_id(), code="TOO_MANY", detail="no", details={}))


def value(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"tollgate_{metric}", labels) or 0.0


def decisions(outcome: str, message: str = "add_requested") -> float:
    return value("decisions_total", message=message, outcome=outcome)


def test_a_message_is_counted_by_what_was_decided() -> None:
    words = ("accepted", "TOO_MANY")
    before = [decisions(word) for word in words]
    batch = Batch()
    for outcome in (
        ADDED,
        ADDED,
        REFUSED,
        NOTHING,
    ):
        batch.decided(asked(1), outcome)
    assert [decisions(word) for word in words] == before
    batch.count(4, NOW)
    assert [decisions(word) for word in words] == [before[0] + 2, before[1] + 1]


def test_a_command_is_counted_even_if_it_changed_nothing() -> None:
    before = decisions("accepted", "Command"), decisions("FORBIDDEN", "Command")
    batch = Batch()
    batch.decided(Command(actor="ada"), NOTHING)
    batch.decided(Command(actor="ada"), Refusal("FORBIDDEN", "ada may not"))
    batch.count(2, NOW)
    after = decisions("accepted", "Command"), decisions("FORBIDDEN", "Command")
    assert after == (before[0] + 1, before[1] + 1)


def test_how_late_a_batch_was_is_how_old_its_oldest_message_was() -> None:
    name = "decision_seconds"
    before = value(f"{name}_sum", message="add_requested")
    times = value(f"{name}_count", message="add_requested")
    batch = Batch()
    for seconds_ago in (2, 7, 3):
        batch.decided(asked(seconds_ago), ADDED)
    batch.decided(asked(60), NOTHING)
    batch.count(4, NOW)
    assert value(f"{name}_sum", message="add_requested") == before + 7
    assert value(f"{name}_count", message="add_requested") == times + 1


def test_a_clock_that_is_ahead_makes_nothing_negative() -> None:
    before = value("decision_seconds_sum", message="add_requested")
    batch = Batch()
    batch.decided(asked(-5), ADDED)
    batch.count(1, NOW)
    assert value("decision_seconds_sum", message="add_requested") == before
