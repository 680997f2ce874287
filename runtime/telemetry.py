"""Logs, and whether traces are recorded.

A log line is an event name with fields, and names the trace and the span that it belongs to.
"""

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog

from runtime.spans import PassOn, Spans, current_traceparent

if TYPE_CHECKING:
    from runtime.settings import RuntimeSettings

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def _name_the_trace(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Add the ids of the trace and the span that a line belongs to, where there are any."""
    traceparent = current_traceparent()
    if traceparent is not None:
        _, event["trace_id"], event["span_id"], *_ = traceparent.split("-")
    return event


_SHARED: list[Any] = [
    _name_the_trace,
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

    def name_the_service(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        """Name it in every line: libraries' threads know nothing of what is bound to ours."""
        event.setdefault("service", service)
        return event

    shared = [name_the_service, *_SHARED]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
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
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


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


def build_spans(service: str, settings: "RuntimeSettings") -> Spans:
    """Return the spans that the settings ask for; the SDK is loaded only where it is used.

    A collector is named by `TOLLGATE_OTLP_ENDPOINT` or by OpenTelemetry's own variables;
    `OTEL_SDK_DISABLED=true` wins over both.
    """
    named = settings.otlp_endpoint or any(os.environ.get(name) for name in _ENDPOINTS)
    if not named or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return PassOn()
    from runtime.tracing import traced

    return traced(service, settings.otlp_endpoint)
