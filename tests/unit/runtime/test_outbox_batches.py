"""How the relay cuts what waits into batches: in order, of one JetStream stream, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.outbox import RELAY_BATCH_BYTES_MAX, batches
from runtime.store import OutboxRow

SUBJECTS = st.sampled_from(
    [
        "tollgate.gateway.request.award_requested.v1",
        "tollgate.gateway.user.user_registered.v1",
        "tollgate.ledger.wallet.hold_placed.v1",
    ]
)


def row(number: int, subject: str, size: int = 10) -> OutboxRow:
    return OutboxRow(f"id-{number}", subject, "stream", number + 1, "x" * size)


@given(st.lists(SUBJECTS, max_size=40))
def test_nothing_is_lost_and_the_order_stays(subjects: list[str]) -> None:
    rows = [row(number, subject) for number, subject in enumerate(subjects)]
    assert [r for batch in batches(rows) for r in batch] == rows


@given(st.lists(SUBJECTS, max_size=40))
def test_a_batch_is_of_one_stream(subjects: list[str]) -> None:
    rows = [row(number, subject) for number, subject in enumerate(subjects)]
    for batch in batches(rows):
        assert len({r.subject.split(".")[1:3] == ["gateway", "request"] for r in batch}) == 1
        assert len({r.subject.split(".")[1] for r in batch}) == 1


def test_a_batch_is_bounded_but_one_large_message_still_goes() -> None:
    large = RELAY_BATCH_BYTES_MAX // 2 + 1
    subject = "tollgate.ledger.wallet.hold_placed.v1"
    rows = [row(number, subject, large) for number in range(3)]
    assert [len(batch) for batch in batches(rows)] == [1, 1, 1]
