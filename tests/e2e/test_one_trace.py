"""One request of a browser is one trace: over all services, through their outboxes, and back."""

import itertools
import json
import secrets
from collections.abc import Iterator
from typing import Any, Final

import httpx2
import pytest

from devkit.ports import free_port
from tests.e2e.person import Person
from tests.e2e.system import SERVICES
from tests.support.otlp import Collector, Span, collector
from tests.support.story import Story, module, publish_examples, story, succeeds, usd, wait_for

pytestmark = [pytest.mark.timeout(300)]

PASSWORD_IN_A_VARIABLE: Final = "hush-hush-in-a-variable"
VARIABLES: Final = {
    "domain": "www.a-secret-domain.example.org",
    "region": "europe-north1",
    "deploy_token": PASSWORD_IN_A_VARIABLE,
}
TRACE_ID: Final = secrets.token_hex(16)
BROWSERS_SPAN: Final = secrets.token_hex(8)


@pytest.fixture(scope="module")
def collected() -> Iterator[tuple[Collector, Story]]:
    """Run a system that sends its spans to us, and deploy a website in a browser's trace."""
    with collector() as found:
        told = {
            "TOLLGATE_OTLP_ENDPOINT": found.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "TOLLGATE_LOG_LEVEL": "debug",
        }
        with story(environment=told) as people:
            people.user.signs_up()
            publish_examples(people)
            award = {"user_id": people.user.id, "credits": 100, "reason": "to begin with"}
            people.admin.posts("/api/credits/awards", award)
            asked = deploys_a_website(people.user)
            succeeds(people.user, asked["id"])
            yield found, people


def deploys_a_website(user: Person) -> Any:
    card = module(user, "static-website")
    answer = user.client.post(
        "/api/deployments",
        json={"module_id": card["id"], "variables": VARIABLES},
        headers={
            "Idempotency-Key": secrets.token_hex(16),
            "traceparent": f"00-{TRACE_ID}-{BROWSERS_SPAN}-01",
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def of_the_trace(found: Collector) -> list[Span]:
    return [span for span in found.spans if span.trace_id == TRACE_ID]


def the(spans: list[Span], service: str, name: str) -> Span:
    [span] = [span for span in spans if (span.service, span.name) == (service, name)]
    return span


def whole(found: Collector) -> list[Span]:
    """Return the trace once what ends it has arrived: exports come a moment after the work."""
    last = (
        ("gateway", "handle deployment_succeeded"),
        ("gateway", "handle hold_settled"),
        ("revenue", "handle hold_settled"),
    )
    wait_for(
        "the end of the trace",
        lambda: {(span.service, span.name) for span in of_the_trace(found)},
        lambda names: names.issuperset(last),
    )
    return of_the_trace(found)


def test_one_request_is_followed_over_all_services_and_back(
    collected: tuple[Collector, Story],
) -> None:
    spans = whole(collected[0])
    way = (
        ("gateway", "POST /api/deployments", "SERVER"),
        ("gateway", "handle Ask", "INTERNAL"),
        ("deployer", "handle deployment_requested", "CONSUMER"),
        ("ledger", "handle hold_requested", "CONSUMER"),
        ("deployer", "handle hold_placed", "CONSUMER"),
        ("gateway", "handle deployment_queued", "CONSUMER"),
    )
    parent_id = BROWSERS_SPAN
    correlations = set()
    for service, name, kind in way:
        span = the(spans, service, name)
        assert (span.parent_id, span.kind) == (parent_id, kind), name
        parent_id = span.span_id
        correlations.add(span.attributes.get("tollgate.correlation_id"))
    assert len(correlations - {None}) == 1
    assert {span.service for span in spans} == {*SERVICES}


def test_a_build_goes_on_in_the_trace_of_who_asked_for_it(
    collected: tuple[Collector, Story],
) -> None:
    spans = whole(collected[0])
    way = (
        ("deployer", "handle hold_placed"),
        ("deployer", "handle ClaimBuild"),
        ("deployer", "handle EndBuild"),
        ("ledger", "handle deployment_succeeded"),
        ("revenue", "handle hold_settled"),
    )
    parents = [the(spans, *step) for step in way]
    for parent, child in itertools.pairwise(parents):
        assert child.parent_id == parent.span_id, child.name


def test_who_else_follows_has_spans_beside(collected: tuple[Collector, Story]) -> None:
    spans = whole(collected[0])
    placed = the(spans, "ledger", "handle hold_requested").span_id
    for service in ("revenue", "gateway"):
        assert the(spans, service, "handle hold_placed").parent_id == placed


def test_commit_and_publication_are_in_the_trace(collected: tuple[Collector, Story]) -> None:
    spans = whole(collected[0])
    placing = the(spans, "ledger", "handle hold_requested")
    published = [span for span in spans if span.parent_id == placing.span_id]
    assert {span.name for span in published if span.service == "ledger"} == {
        "publish TOLLGATE_LEDGER"
    }
    beside = [span.name for span in spans if span.parent_id == placing.parent_id]
    assert "commit batch" in beside


def test_spans_tell_no_secret_no_variable_and_nobodys_address(
    collected: tuple[Collector, Story],
) -> None:
    found, told = collected
    whole(found)
    words = [*VARIABLES.values(), *(person.email for person in told.everybody.values())]
    words += [person.password for person in told.everybody.values()]
    words += ["@example", "Bearer", "postgresql://", "Traceback"]
    for span in found.spans:
        assert not [word for word in words if word in span.texts], span.name
        paths = span.attributes.get("http.route", "")
        assert told.user.id not in paths


def test_the_log_names_the_trace_of_a_call(collected: tuple[Collector, Story]) -> None:
    found, told = collected
    call = the(whole(found), "gateway", "POST /api/deployments")
    log = (told.system.data_dir / "logs" / "gateway.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if TRACE_ID in line]
    [line] = [line for line in lines if line["event"] == "http.answered"]
    assert line["span_id"] == call.span_id
    assert line["request_id"] == call.attributes["tollgate.request_id"]
    assert PASSWORD_IN_A_VARIABLE not in log


def test_metrics_tell_of_it_too(collected: tuple[Collector, Story]) -> None:
    found, told = collected
    whole(found)

    def one(service: str, series: str) -> None:
        url = told.system.endpoints["services"][service]["health_url"]
        assert f"{series} 1.0" in httpx2.get(f"{url}/metrics").text, series

    route = 'method="POST",route="/api/deployments",status="201"'
    one("gateway", f"tollgate_http_requests_total{{{route}}}")
    decided = 'tollgate_decisions_total{{message="{}",outcome="accepted"}}'
    one("deployer", decided.format("deployment_requested"))
    one("ledger", decided.format("hold_requested"))
    one("ledger", 'tollgate_decision_seconds_count{message="hold_requested"}')
    one("deployer", "tollgate_build_wait_seconds_count")
    one("deployer", 'tollgate_build_seconds_count{outcome="succeeded"}')


def test_probes_leave_no_spans(collected: tuple[Collector, Story]) -> None:
    assert not [span for span in collected[0].spans if "/readyz" in span.name]


def asks(person: Person, path: str, body: Any) -> tuple[str, Any]:
    """Call in a trace of its own; return which, and the answer."""
    trace_id = secrets.token_hex(16)
    headers = {
        "Idempotency-Key": secrets.token_hex(16),
        "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
    }
    answer = person.client.post(path, json=body, headers=headers)
    assert answer.is_success, answer.text
    return trace_id, answer.json()


def arrives(found: Collector, service: str, name: str, of_trace: str) -> Span:
    """Return a span of a trace, or one that links it, once it has arrived."""

    def there() -> list[Span]:
        return [
            span
            for span in found.spans
            if (span.service, span.name) == (service, name)
            and of_trace in {span.trace_id, *(trace for trace, _ in span.links)}
        ]

    spans: list[Span] = wait_for(f"{service} {name}", there, lambda spans: spans)
    return spans[0]


def test_a_sync_goes_on_in_the_trace_of_who_asked_for_it(
    collected: tuple[Collector, Story],
) -> None:
    found, told = collected
    trace_id, _ = asks(told.admin, "/api/syncs", {"scope": "platform"})
    for command in ("BeginSync", "ConcludeSync"):
        assert arrives(found, "catalog", f"handle {command}", trace_id).trace_id == trace_id


def test_what_stripe_says_later_links_the_checkout(collected: tuple[Collector, Story]) -> None:
    """Who pays comes back by Stripe's call, in a trace of its own, after whatever time."""
    found, told = collected
    trace_id, checkout = asks(told.user, "/api/credits/checkout", {"credits": 10})
    opened = arrives(found, "ledger", "handle ChangeCheckout", trace_id)
    assert opened.trace_id == trace_id

    assert httpx2.post(f"{checkout['url']}/pay").status_code == httpx2.codes.SEE_OTHER

    booked = arrives(found, "ledger", "handle ChangePurchase", trace_id)
    assert booked.trace_id != trace_id
    [called] = [
        span
        for span in found.spans
        if span.trace_id == booked.trace_id and span.name == "handle stripe_event_received"
    ]
    assert booked.parent_id == called.span_id


def test_a_webhook_links_what_it_tells_of(collected: tuple[Collector, Story]) -> None:
    """Whether somebody takes it does not matter: nobody listens there."""
    found, told = collected
    told.agent.signs_up()
    told.newcomer.signs_up()
    told.admin.patches(f"/api/users/{told.agent.id}", {"roles": ["user", "agent"]})
    told.admin.patches(f"/api/users/{told.newcomer.id}", {"referred_by": told.agent.id})
    told.admin.patches("/api/settings", {"agent_revenue_share": "5.00"})
    bought = {"credits": 10, "price": usd(1_000), "reference": "x", "user_id": told.newcomer.id}
    told.admin.posts("/api/credits/purchases", bought)
    hook = {"url": f"http://127.0.0.1:{free_port()}/", "events": ["revenue.share_accrued"]}
    told.agent.posts("/api/webhooks", hook)
    card = module(told.newcomer, "uptime-alerts")
    asked = {"module_id": card["id"], "variables": {"addresses": ["www.example.org"]}}
    trace_id, deployment = asks(told.newcomer, "/api/deployments", asked)
    succeeds(told.newcomer, deployment["id"])

    recorded = arrives(found, "revenue", "handle RecordAttempts", trace_id)

    assert recorded.trace_id != trace_id
