"""What the gateway passes on of Stripe's events is what the ledger looks for when it was missed."""

from pathlib import Path

from services.gateway.http.stripe_hook import FOLLOWED
from services.ledger.checkouts.sweeping import TYPES

GUIDE = Path(__file__).parents[2] / "docs" / "stripe.md"


def test_webhooks_and_the_sweep_follow_the_same_events() -> None:
    assert set(TYPES) == FOLLOWED


def test_the_guide_names_each_of_them() -> None:
    told = GUIDE.read_text()
    assert [each for each in TYPES if each not in told] == []
