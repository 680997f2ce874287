"""The description of the API: what it says of links, and that all of it can be followed."""

import re
from typing import Any

import pytest
from fastapi import FastAPI

from services.gateway.http.app import RESOURCES
from services.gateway.http.openapi import description


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    app = FastAPI()
    for resource in RESOURCES:
        app.router.routes.extend(resource.router.routes)
    return description(app)


def links(found: dict[str, Any], call: str, status: str) -> dict[str, dict[str, str]]:
    method, path = call.split()
    links = found["paths"][path][method.lower()]["responses"][status].get("links", {})
    return {name: link["parameters"] for name, link in links.items()}


def test_every_link_gives_a_call_all_of_its_path(found: dict[str, Any]) -> None:
    calls = {
        operation["operationId"]: path
        for path, operations in found["paths"].items()
        for operation in operations.values()
    }
    followed = [
        (name, set(link["parameters"]))
        for operations in found["paths"].values()
        for operation in operations.values()
        for answer in operation["responses"].values()
        for name, link in answer.get("links", {}).items()
    ]

    assert followed
    for name, parameters in followed:
        assert parameters == set(re.findall(r"\{(\w+)\}", calls[name])), name


@pytest.mark.parametrize(
    ("call", "status", "linked", "parameters"),
    [
        ("POST /api/deployments", "201", "deployment", {"deployment_id": "$response.body#/id"}),
        ("POST /api/deployments", "201", "explain_revenue",
         {"deployment_id": "$response.body#/id"}),
        ("POST /api/deployments", "202", "read_request", {"request_id": "$response.body#/id"}),
        ("GET /api/modules", "200", "module", {"module_id": "$response.body#/items/0/id"}),
        ("POST /api/credits/checkout", "201", "checkout",
         {"checkout_id": "$response.body#/checkout_id"}),
        ("GET /api/webhooks/{webhook_id}/deliveries", "200", "resend_delivery",
         {"webhook_id": "$request.path.webhook_id",
          "delivery_id": "$response.body#/items/0/id"}),
    ],
)  # fmt: skip
def test_what_is_made_or_listed_is_linked_with_what_can_be_done_with_it(
    *, found: dict[str, Any], call: str, status: str, linked: str, parameters: dict[str, str]
) -> None:
    assert links(found, call, status).get(linked) == parameters, links(found, call, status)


def test_what_makes_nothing_is_linked_with_nothing(found: dict[str, Any]) -> None:
    assert links(found, "GET /api/me", "200") == {}
    assert links(found, "POST /api/quotes", "200") == {}
    assert "deployment" not in links(found, "POST /api/deployments", "202")
