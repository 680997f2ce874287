"""One table of who may make which call; what an endpoint says of itself must stand here."""

import pytest
from starlette.responses import Response

from services.gateway.http.access import Access, access_of
from services.gateway.http.app import RESOURCES
from services.gateway.http.route import GatewayRoute

ANYONE = "anyone"
SIGNED_IN = "signed in"

TABLE = {
    "GET /healthz": ANYONE,
    "GET /readyz": ANYONE,
    "GET /metrics": ANYONE,
    "GET /api/openapi.json": ANYONE,
    "GET /api/docs": ANYONE,
    "POST /api/session": ANYONE,
    "DELETE /api/session": ANYONE,
    "POST /api/users": ANYONE,
    "GET /auth/oidc/login": ANYONE,
    "GET /auth/oidc/callback": ANYONE,
    "GET /api/audit": "admin finance",
    "GET /api/projects/costs": SIGNED_IN,
    "GET /api/users": "admin finance support",
    "GET /api/users/{user_id}": "admin",
    "PATCH /api/users/{user_id}": "admin",
    "GET /api/me": SIGNED_IN,
    "PATCH /api/me": SIGNED_IN,
    "DELETE /api/me": SIGNED_IN,
    "POST /api/tokens": SIGNED_IN,
    "GET /api/tokens": SIGNED_IN,
    "DELETE /api/tokens/{token_id}": SIGNED_IN,
    "GET /api/settings": "admin finance",
    "PATCH /api/settings": "admin finance",
    "GET /api/modules": SIGNED_IN,
    "GET /api/modules/tags": SIGNED_IN,
    "GET /api/modules/{module_id}": SIGNED_IN,
    "PUT /api/modules/{module_id}/pin": SIGNED_IN,
    "DELETE /api/modules/{module_id}/pin": SIGNED_IN,
    "PUT /api/modules/{module_id}/featured": "admin",
    "DELETE /api/modules/{module_id}/featured": "admin",
    "PUT /api/deployments/{deployment_id}/rating": SIGNED_IN,
    "POST /api/syncs": SIGNED_IN,
    "POST /api/hooks/github": ANYONE,
    "GET /api/syncs": SIGNED_IN,
    "GET /api/syncs/{sync_id}": SIGNED_IN,
    "GET /api/credits/balance": SIGNED_IN,
    "GET /api/credits/lots": SIGNED_IN,
    "GET /api/credits/history": SIGNED_IN,
    "POST /api/credits/awards": "admin finance",
    "POST /api/credits/adjustments": "admin finance",
    "POST /api/credits/purchases": "admin finance",
    "GET /api/ledger/events": "admin finance",
    "GET /api/ledger/totals": "admin finance",
    "POST /api/ledger/verify": "admin finance",
    "GET /api/revenue/statements": "admin agent finance partner",
    "GET /api/revenue/statements/{statement_id}": "admin agent finance partner",
    "GET /api/revenue/periods": "admin finance",
    "POST /api/webhooks": "agent partner",
    "GET /api/webhooks": "agent partner",
    "GET /api/webhooks/{webhook_id}": "agent partner",
    "PATCH /api/webhooks/{webhook_id}": "agent partner",
    "DELETE /api/webhooks/{webhook_id}": "agent partner",
    "POST /api/webhooks/{webhook_id}/rotate": "agent partner",
    "POST /api/webhooks/{webhook_id}/enable": "agent partner",
    "POST /api/webhooks/{webhook_id}/test": "agent partner",
    "GET /api/webhooks/{webhook_id}/deliveries": "agent partner",
    "POST /api/webhooks/{webhook_id}/deliveries/{delivery_id}/resend": "agent partner",
    "POST /api/webhooks/{webhook_id}/resend": "agent partner",
    "POST /api/revenue/periods/{period}/close": "admin finance",
    "POST /api/credits/checkout": SIGNED_IN,
    "GET /api/credits/checkout/{checkout_id}": SIGNED_IN,
    "POST /api/hooks/stripe": ANYONE,
    "POST /api/quotes": SIGNED_IN,
    "POST /api/deployments": SIGNED_IN,
    "GET /api/deployments": SIGNED_IN,
    "GET /api/deployments/stats": SIGNED_IN,
    "GET /api/deployments/{deployment_id}": SIGNED_IN,
    "PUT /api/deployments/{deployment_id}": SIGNED_IN,
    "DELETE /api/deployments/{deployment_id}": SIGNED_IN,
    "POST /api/deployments/{deployment_id}/retry": SIGNED_IN,
    "POST /api/deployments/{deployment_id}/cancel": SIGNED_IN,
    "POST /api/deployments/{deployment_id}/refund": "admin finance",
    "GET /api/deployments/{deployment_id}/logs": SIGNED_IN,
    "GET /api/requests/{request_id}": SIGNED_IN,
    "GET /api/events": SIGNED_IN,
    "GET /api/revenue/modules": "admin finance partner",
    "GET /api/revenue/users": "admin agent finance",
    "GET /api/revenue/summary": "admin agent finance partner",
    "GET /api/revenue/explain/{deployment_id}": "admin agent finance partner",
}
WITHOUT_A_KEY = {"POST /api/session", "POST /api/hooks/github", "POST /api/hooks/stripe"}


def routes() -> dict[str, Access]:
    found = [route for resource in RESOURCES for route in resource.router.routes]
    assert all(isinstance(route, GatewayRoute) for route in found)
    return {
        f"{method} {route.path}": route.access
        for route in found
        if isinstance(route, GatewayRoute)
        for method in route.methods or ()
    }


def said(access: Access) -> str:
    if not access.signed_in:
        return ANYONE
    return SIGNED_IN if access.roles is None else " ".join(sorted(access.roles))


def test_every_call_is_for_those_that_the_table_says() -> None:
    assert {call: said(access) for call, access in routes().items()} == TABLE


def test_a_key_is_honoured_on_every_post_but_signing_in() -> None:
    without = {
        call
        for call, access in routes().items()
        if call.startswith("POST ") and not access.honours_key
    }

    assert without == WITHOUT_A_KEY


def test_what_does_not_say_who_may_call_it_cannot_be_routed() -> None:
    async def forgotten() -> Response:
        return Response()

    with pytest.raises(TypeError, match="does not say who may call it"):
        access_of(forgotten)
    with pytest.raises(TypeError, match="does not say who may call it"):
        GatewayRoute("/api/forgotten", forgotten)
