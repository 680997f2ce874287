"""Calls are counted by the route's template, and who listens while they do."""

from typing import Final

import pytest

from tests.integration.gateway.api import Api

NOBODYS: Final = "01a00000-0000-7000-8000-000000000000"


async def series(api: Api, metric: str) -> dict[str, float]:
    """Return labels → value of each series of a metric."""
    text = (await api.client().get("/metrics")).text
    lines = [line.removeprefix(metric) for line in text.splitlines() if line.startswith(metric)]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        (
            *("GET", f"/api/deployments/{NOBODYS}"),
            'method="GET",route="/api/deployments/{deployment_id}",status="404"',
        ),
        ("GET", "/api/no/such", 'method="GET",route="none",status="404"'),
        ("HEAD", "/api/none/such", 'method="GET",route="none",status="404"'),
        ("BREW", "/api/me", 'method="_OTHER",route="/api/me",status="405"'),
    ],
)
async def test_calls_are_counted_by_route_and_never_by_path(
    api: Api, method: str, path: str, labels: str
) -> None:
    ada = await api.person()
    before = await series(api, "tollgate_http_requests_total")
    await ada.client.request(method, path)
    after = await series(api, "tollgate_http_requests_total")
    assert after[f"{{{labels}}}"] == before.get(f"{{{labels}}}", 0) + 1
    for written in after:
        assert NOBODYS not in written
        assert "such" not in written


async def test_who_listens_is_counted_for_as_long(api: Api) -> None:
    ada = await api.person()
    before = await series(api, "tollgate_sse_clients")
    async with ada.client.stream("GET", "/api/events") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        now = await series(api, "tollgate_sse_clients")
    assert now['{stream="events"}'] == before['{stream="events"}'] + 1
