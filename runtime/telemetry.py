"""Logs, and traces that cross the bus.

A log line is an event name with fields. Without an endpoint for traces nothing is recorded, and a
message's `traceparent` is handed on as it came.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from runtime.work import Message

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from runtime.settings import RuntimeSettings

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(service: str, *, level: str, log_format: str) -> None:
    """Send every log line, ours and libraries', to standard output in one shape."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("nats", "asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def configure_command_logging() -> None:
    """Tell a command's user only what is wrong, beside its output, and never a local variable."""
    structlog.configure(
        processors=[
            *_SHARED,
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


class PassOn:
    """Spans where there are none: the traceparent is handed on as it came."""

    @contextmanager
    def handling(self, message: Message) -> Iterator[str | None]:
        """Give the message's own traceparent."""
        yield message.traceparent


class Traced:
    """A span around each message, child of the one that the message names."""

    def __init__(self, tracer: "Tracer") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def handling(self, message: Message) -> Iterator[str | None]:
        """Enter a span called after the message, and give its traceparent."""
        parent = self._propagator.extract(
            {} if message.traceparent is None else {"traceparent": message.traceparent}
        )
        name = getattr(message, "type", type(message).__name__)
        with self._tracer.start_as_current_span(f"handle {name}", context=parent):
            carrier: dict[str, str] = {}
            self._propagator.inject(carrier)
            yield carrier.get("traceparent")


def build_spans(service: str, settings: "RuntimeSettings") -> PassOn | Traced:
    """Return the spans that the settings ask for; the SDK is loaded only where it is used."""
    if settings.otlp_endpoint is None:
        return PassOn()
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"tollgate-{service}"}))
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return Traced(provider.get_tracer("tollgate"))
