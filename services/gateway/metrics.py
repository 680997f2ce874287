"""What the gateway counts besides the machinery: calls, and who listens."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS: Final = Counter(
    "tollgate_http_requests_total",
    "Calls, by method, by the route's template, and by the status of the answer",
    ["method", "route", "status"],
)
HTTP_SECONDS: Final = Histogram(
    "tollgate_http_request_seconds",
    "From a call's arrival to the beginning of its answer",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SSE_CLIENTS: Final = Gauge(
    "tollgate_sse_clients", "Who listens to server-sent events at present", ["stream"]
)
for _stream in ("events", "logs"):
    SSE_CLIENTS.labels(stream=_stream)
