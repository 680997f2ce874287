"""Spans as OpenTelemetry records them: only loaded where a collector is named.

The SDK and its exporter are set by OpenTelemetry's own variables (`OTEL_TRACES_SAMPLER`,
`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_RESOURCE_ATTRIBUTES` …). What does
not fit into the exporter's bounded queue is dropped, and nobody waits for a collector.

An attribute is a name, a number, an id, or a template of ours, and never a value that somebody
gave us: no path, no query, no body, no text of an exception.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from contracts.envelope import Envelope
from contracts.subjects import stream_of_subject
from runtime.batch import fact_name
from runtime.ids import new_id
from runtime.outbox import traceparent_of
from runtime.refusal import Refusal
from runtime.spans import Answering, Spans, within
from runtime.store import OutboxRow
from runtime.work import Message

LINKS_MAX: Final = 128
"""OpenTelemetry's own bound: a batch that joins more traces links the first of them."""

_SERVER_ERROR: Final = 500
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_NOBODY: Final = Context()


class Traced(Spans):
    """Spans that are recorded and sent to a collector."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("tollgate")

    @override
    @contextmanager
    def handling(self, message: Message) -> Iterator[str | None]:
        """Enter a span called after the message, child of the sender's; commands have links too."""
        name = _name(message)
        kind = SpanKind.CONSUMER if isinstance(message, Envelope) else SpanKind.INTERNAL
        parent = _context(message.traceparent)
        links = () if isinstance(message, Envelope) else _links(message.links)
        attributes = _attributes(message)
        with self._span(
            f"handle {name}", parent, kind=kind, links=links, attributes=attributes
        ) as it:
            text = _traceparent(it)
            with within(text):
                yield text

    @override
    @contextmanager
    def batch(self, messages: Iterable[Message]) -> Iterator[None]:
        """Enter a span that belongs to the trace of all messages, or links those that it joins."""
        traceparents = [message.traceparent for message in messages]
        parent, links = _joined(traceparents)
        attributes = {"messaging.batch.message_count": len(traceparents)}
        with self._span("commit batch", parent, links=links, attributes=attributes):
            yield

    @override
    @contextmanager
    def publishing(self, rows: Sequence[OutboxRow]) -> Iterator[None]:
        """Enter a span, likewise, around what the relay sends at once."""
        parent, links = _joined([traceparent_of(row.body) for row in rows])
        destination = stream_of_subject(rows[0].subject)
        attributes: dict[str, str | int] = {
            "messaging.system": "nats",
            "messaging.operation.type": "send",
            "messaging.destination.name": destination,
            "messaging.batch.message_count": len(rows),
        }
        with self._span(
            f"publish {destination}",
            parent,
            kind=SpanKind.PRODUCER,
            links=links,
            attributes=attributes,
        ):
            yield

    @override
    @contextmanager
    def answering(
        self, method: str, traceparent: str | None, request_id: str
    ) -> Iterator[Answering]:
        """Enter a span that is called after the route once that is known."""
        attributes = {"http.request.method": method, "tollgate.request_id": request_id}
        parent = _context(traceparent)
        with self._span(method, parent, kind=SpanKind.SERVER, attributes=attributes) as span:
            yield _Call(span, method)

    @override
    def close(self) -> None:
        """Send what is left; the exporter's time-out bounds it (10 s if not set otherwise)."""
        self._provider.shutdown()

    @contextmanager
    def _span(
        self,
        name: str,
        parent: Context,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
        attributes: Mapping[str, str | int],
    ) -> Iterator[Span]:
        """Enter a span. Of what is raised only the type is kept: its text may tell of a person."""
        span = self._tracer.start_span(
            name, context=parent, kind=kind, links=links, attributes=attributes
        )
        try:
            yield span
        except Refusal as refusal:
            span.set_attribute("tollgate.refusal", refusal.code)
            raise
        except BaseException as error:
            _failed(span, type(error).__qualname__)
            raise
        finally:
            span.end()


class _Call:
    """The span of an HTTP call."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method
        self.traceparent: Final = _traceparent(span)

    def answered(self, *, route: str, status: int | None) -> None:
        """Name the span after the route; who never got an answer went away."""
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attribute("http.route", route)
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
            if status >= _SERVER_ERROR:
                _failed(self._span, str(status))


def traced(service: str, endpoint: str | None) -> Traced:
    """Return spans that go to a collector.

    `endpoint` is its address without a path; without one OpenTelemetry's own variables name it.
    """
    resource = Resource.create(
        {"service.name": f"tollgate-{service}", "service.instance.id": new_id()}
    )
    provider = TracerProvider(resource=resource)
    where = None if endpoint is None else f"{endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=where)))
    return Traced(provider)


def _name(message: Message) -> str:
    """Return `hold_requested` for a message of the bus, and a command's own name."""
    if isinstance(message, Envelope):
        return fact_name(message.type)
    return type(message).__name__


def _attributes(message: Message) -> Mapping[str, str | int]:
    if not isinstance(message, Envelope):
        return {"tollgate.correlation_id": message.correlation_id}
    return {
        "messaging.system": "nats",
        "messaging.operation.type": "process",
        "messaging.destination.name": message.type,
        "messaging.message.id": message.id,
        "tollgate.correlation_id": message.correlationid,
        "tollgate.stream": message.subject,
        "tollgate.sequence": message.sequence,
    }


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _context(traceparent: str | None) -> Context:
    """Return what a span of that trace begins in; never the span that happens to be current."""
    if traceparent is None:
        return _NOBODY
    return _PROPAGATOR.extract({"traceparent": traceparent}, context=_NOBODY)


def _joined(traceparents: Sequence[str | None]) -> tuple[Context, list[Link]]:
    """Return the one trace's context, or links to each where there are several."""
    texts = [text for text in dict.fromkeys(traceparents) if text is not None]
    links = _links(texts)
    if len({link.context.trace_id for link in links}) == 1:
        return _context(texts[0]), []
    return _NOBODY, links


def _links(traceparents: Sequence[str]) -> list[Link]:
    found = (get_current_span(_context(text)) for text in traceparents[:LINKS_MAX])
    contexts = (span.get_span_context() for span in found)
    return [Link(context) for context in contexts if context.is_valid]


def _traceparent(span: Span) -> str:
    context = span.get_span_context()
    flags = f"{context.trace_flags:02x}"
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{flags}"
