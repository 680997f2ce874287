"""The guide tells of the events that purchases depend on."""

from pathlib import Path

from contracts.stripe_events import STRIPE_EVENTS

GUIDE = Path(__file__).parents[2] / "docs" / "stripe.md"


def test_the_guide_names_each_of_them() -> None:
    told = GUIDE.read_text()
    assert [each for each in STRIPE_EVENTS if each not in told] == []
