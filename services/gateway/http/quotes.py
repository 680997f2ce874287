"""Quotes: what a deployment would cost, and whether it would be let through. They bind nobody."""

from typing import Annotated

from pydantic import Field

from contracts.catalog.v1 import Definition
from contracts.credit_rules import judge
from contracts.types import Id, JsonData, Ordinal
from contracts.variables import check_variables
from services.gateway.http.access import asks_only
from services.gateway.http.modules import seen_module
from services.gateway.http.parameters import Asker, TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input, Output
from services.gateway.queries.credits import balance_of
from services.gateway.queries.settings import current_settings

router = resource("Deployments")

Variables = Annotated[dict[str, JsonData], Field(max_length=500)]


class QuoteFor(Input):
    """What would be deployed; with variables these are checked too.

    With a deployment, of what it would be updated to, which costs nothing.
    """

    module_id: Id
    version: Ordinal | None = None
    variables: Variables | None = None
    deployment_id: Id | None = None


class Quote(Output):
    """What it would cost, of which credits; or why it would be refused.

    `balance_after` are the credits that would be available then.
    """

    module_id: str
    version: int
    cost: int
    awarded_part: int
    purchased_part: int
    allowed: bool
    refusal: str | None
    required: int
    available: int
    balance_after: int


@router.post("/api/quotes")
@asks_only
async def quote(body: QuoteFor, gateway: TheGateway, asker: Asker) -> Quote:
    """Say what a deployment would cost now."""
    async with gateway.connection() as connection:
        module, version = await seen_module(
            connection, asker, body.module_id, body.version, body.deployment_id
        )
        settings = (await current_settings(connection)).settings
        balance = await balance_of(connection, asker.user_id, gateway.now)
    definition: Definition = version["definition"]
    if body.variables is not None:
        problems = check_variables(definition.variables, body.variables)
        if problems:
            raise ProblemError("INVALID_VARIABLES", errors=[each.model_dump() for each in problems])
    verdict = judge(
        list_price=definition.credit_cost if body.deployment_id is None else 0,
        premium=definition.require_credit_purchases and body.deployment_id is None,
        own_module=module["partner_id"] == asker.user_id,
        credits_enabled=settings.credits_enabled,
        available_awarded=balance.available_awarded,
        available_purchased=balance.available_purchased,
    )
    refusal = "MODULE_WITHDRAWN" if module["withdrawn_at"] is not None else verdict.shortage
    free = balance.available_awarded + balance.available_purchased
    return Quote(
        module_id=body.module_id,
        version=version["version"],
        cost=verdict.cost,
        awarded_part=verdict.awarded_part,
        purchased_part=verdict.purchased_part,
        allowed=refusal is None,
        refusal=refusal,
        required=verdict.cost,
        available=verdict.available,
        balance_after=free if refusal else free - verdict.cost,
    )
