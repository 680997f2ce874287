"""An OpenTelemetry collector as far as a test needs one: OTLP over HTTP, decoded and kept."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from typing_extensions import override

PATH: Final = "/v1/traces"


@dataclass(frozen=True)
class Span:
    """A span as it arrived; ids are lower-case hex, `links` are (trace, span)."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    failed: bool
    texts: str


@dataclass
class Collector:
    """What was sent to a collector, in the order of arrival."""

    url: str = ""
    _spans: list[Span] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        """Every span so far."""
        return list(self._spans)

    def take(self, body: bytes) -> None:
        """Keep what a request carries."""
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            told = {each.key: _plain(each.value) for each in resource.resource.attributes}
            self._spans += [
                _span(str(told["service.name"]).removeprefix("tollgate-"), span)
                for scope in resource.scope_spans
                for span in scope.spans
            ]


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector on a free port of the loopback."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        """Takes exports, and answers as the protocol says."""

        def do_POST(self) -> None:
            """Take one export."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            known = self.path == PATH
            if known:
                found.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        @override
        def log_message(self, format: str, *_: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _span(service: str, span: ProtoSpan) -> Span:
    return Span(
        service=service,
        name=span.name,
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes={each.key: _plain(each.value) for each in span.attributes},
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        texts=str(span),
    )


def _plain(value: AnyValue) -> str | int | float | bool:
    kind = value.WhichOneof("value")
    found: str | int | float | bool = getattr(value, str(kind))
    return found
