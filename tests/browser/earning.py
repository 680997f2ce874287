"""Somebody earns something: a partner's module is bought, and a part of its price given back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from tests.e2e import repositories
from tests.e2e.person import Person
from tests.support.story import Story, deploy, succeeds, sync, usd, wait_for

PASSWORD: Final = "quite long enough"
PRICE_MINOR: Final = 10_000
CREDITS: Final = 100
REFUNDED: Final = 5


@dataclass(frozen=True)
class Earning:
    """Who earned, by whom, and with which deployment.

    25 purchased credits were charged at 1.00 USD each, and 5 of them were given back; of each, 30 %
    are the partner's and 5 % the agent's.
    """

    partner: Person
    agent: Person
    buyer: Person
    deployment_id: str


@contextmanager
def earning(stage: Story) -> Iterator[Earning]:
    """Have a partner earn from a buyer, and the agent who referred that buyer."""
    with ExitStack() as stack:
        pauline, arthur, bert = (
            stack.enter_context(Person(stage.system.url, f"{name}@example.org", PASSWORD))
            for name in ("pauline", "arthur", "bert")
        )
        for person in (pauline, arthur, bert):
            person.signs_up()
        for person, role in ((pauline, "partner"), (arthur, "agent")):
            stage.admin.patches(f"/api/users/{person.id}", {"roles": ["user", role]})
        stage.admin.patches(f"/api/users/{bert.id}", {"referred_by": arthur.id})
        shares = {"partner_revenue_share": "30.00", "agent_revenue_share": "5.00"}
        stage.admin.patches("/api/settings", shares)
        url = repositories.partners_repository(stage.folder / "paulines")
        pauline.patches("/api/me", {"repository": {"url": url, "branch": "main"}})
        assert sync(pauline, "partner")["status"] == "DONE"
        bought = {"user_id": bert.id, "credits": CREDITS, "price": usd(PRICE_MINOR)}
        stage.admin.posts("/api/credits/purchases", bought | {"reference": "INV-7"})
        [card] = [
            card
            for card in bert.lists("/api/modules", source="partner")
            if card["partner_id"] == pauline.id
        ]
        made = deploy(bert, card, {"headline": "All systems go"})
        succeeds(bert, made["id"])
        given_back = {"credits": REFUNDED, "reason": "It was down for an hour"}
        stage.admin.posts(f"/api/deployments/{made['id']}/refund", given_back)
        wait_for(
            "both lines of revenue",
            lambda: pauline.gets("/api/revenue/modules")["totals"]["lines"],
            lambda lines: lines == 2,  # noqa: PLR2004 - the settlement, and what was taken back
        )
        yield Earning(pauline, arthur, bert, made["id"])
