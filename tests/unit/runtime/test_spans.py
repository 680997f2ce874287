"""Spans: whose children they are, what a batch joins, and what they never tell."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind

from runtime.refusal import Refusal
from runtime.spans import PassOn, Spans, current_traceparent, well_formed, within
from runtime.store import OutboxRow
from runtime.tracing import LINKS_MAX, Traced
from runtime.work import Command


def a_trace(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


ONE = a_trace(1)


@dataclass
class Recorded:
    """Spans, and what became of them."""

    spans: Spans = field(init=False)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Traced(provider)

    @property
    def one(self) -> ReadableSpan:
        [span] = self.exporter.get_finished_spans()
        return span


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    found = Recorded()
    yield found
    found.spans.close()


def of(*traces: str | None) -> list[Command]:
    return [Command(actor="ada", traceparent=trace) for trace in traces]


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def links(span: ReadableSpan) -> list[int]:
    return [link.context.trace_id for link in span.links]


def test_a_message_is_handled_in_the_trace_of_its_sender(recorded: Recorded) -> None:
    [message] = of(ONE)
    with recorded.spans.handling(message) as handed_on:
        assert current_traceparent() == handed_on
    context = context_of(recorded.one)
    assert recorded.one.parent is not None
    assert (context.trace_id, recorded.one.parent.span_id) == (1, 1)
    assert handed_on == f"00-{1:032x}-{context.span_id:016x}-01"
    assert current_traceparent() is None


def test_a_message_of_no_trace_begins_one(recorded: Recorded) -> None:
    [message] = of(None)
    with within(ONE), recorded.spans.handling(message) as handed_on:
        assert handed_on is not None
        assert not handed_on.startswith(ONE[:35])
    assert recorded.one.parent is None


def test_what_nobody_samples_is_handed_on_as_such(recorded: Recorded) -> None:
    [message] = of(ONE[:-2] + "00")
    with recorded.spans.handling(message) as handed_on:
        assert handed_on is not None
        assert handed_on.startswith(ONE[:35])
        assert handed_on.endswith("-00")
    assert not recorded.exporter.get_finished_spans()


@pytest.mark.parametrize("traces", [(ONE,), (ONE, ONE), (ONE, None)])
def test_a_batch_of_one_trace_is_in_it(recorded: Recorded, traces: tuple[str | None, ...]) -> None:
    with recorded.spans.batch(of(*traces)):
        pass
    assert context_of(recorded.one).trace_id == 1
    assert links(recorded.one) == []


def test_a_batch_that_joins_traces_links_each_of_them_once(recorded: Recorded) -> None:
    with recorded.spans.batch(of(a_trace(1), None, a_trace(2), a_trace(1), a_trace(3))):
        pass
    assert recorded.one.parent is None
    assert context_of(recorded.one).trace_id not in {1, 2, 3}
    assert links(recorded.one) == [1, 2, 3]


def test_links_are_bounded(recorded: Recorded) -> None:
    with recorded.spans.batch(of(*(a_trace(number) for number in range(1, 500)))):
        pass
    assert len(links(recorded.one)) == LINKS_MAX


def test_what_is_published_is_in_the_trace_of_what_was_decided(recorded: Recorded) -> None:
    def row(trace: str | None) -> OutboxRow:
        body = json.dumps({"data": {"traceparent": "another's"}, "traceparent": trace})
        subject = "tollgate.ledger.facts.hold_placed.v1"
        return OutboxRow(id="1", subject=subject, stream="wallet-1", sequence=1, body=body)

    with recorded.spans.publishing([row(ONE), row(None)]):
        pass
    assert recorded.one.kind is SpanKind.PRODUCER
    assert context_of(recorded.one).trace_id == 1


def test_a_spans_failure_has_a_type_and_no_text(recorded: Recorded) -> None:
    [message] = of(ONE)
    with pytest.raises(ValueError, match="ada@"), recorded.spans.handling(message):
        raise ValueError("no such user: ada@example.org")
    assert not recorded.one.status.is_ok
    assert dict(recorded.one.attributes or {})["error.type"] == "ValueError"
    assert "ada@" not in recorded.one.to_json()


def test_a_refusal_is_no_failure(recorded: Recorded) -> None:
    [message] = of(ONE)
    with pytest.raises(Refusal), recorded.spans.handling(message):
        raise Refusal("INSUFFICIENT_CREDITS", "ada@example.org has 3")
    assert recorded.one.status.is_unset
    assert dict(recorded.one.attributes or {})["tollgate.refusal"] == "INSUFFICIENT_CREDITS"
    assert "ada@" not in recorded.one.to_json()


def test_a_call_is_called_after_its_route(recorded: Recorded) -> None:
    with recorded.spans.answering("GET", ONE, "request-1") as call:
        call.answered(route="/api/users/{user_id}", status=503)
    assert recorded.one.name == "GET /api/users/{user_id}"
    assert recorded.one.kind is SpanKind.SERVER
    assert not recorded.one.status.is_ok


def test_without_a_collector_the_trace_is_handed_on_as_it_came() -> None:
    spans = PassOn()
    [message, other] = of(ONE, None)
    with spans.handling(message) as handed_on, spans.batch([message]):
        assert handed_on == current_traceparent() == ONE
    with spans.handling(other) as handed_on:
        assert handed_on is None
    with spans.answering("GET", ONE, "request-1") as call:
        call.answered(route="/", status=200)
        assert call.traceparent == ONE
    spans.close()


def test_a_command_belongs_to_the_trace_that_it_was_made_in() -> None:
    with within(ONE):
        assert Command(actor="ada").traceparent == ONE
    assert Command(actor="ada").traceparent is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (ONE, True),
        (ONE.upper().replace("-01", "-FF"), False),
        ("", False),
        (None, False),
        (f"00-{0:032x}-{1:016x}-01", False),
        (f"00-{1:032x}-{0:016x}-01", False),
        (ONE + "-more", False),
        ("01" + ONE[2:], False),
        (ONE + "\n", False),
    ],
)
def test_a_callers_trace_is_taken_only_as_it_must_be(text: str | None, read: bool) -> None:
    assert well_formed(text) == (text if read else None)
