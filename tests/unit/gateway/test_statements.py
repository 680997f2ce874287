from collections import deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.projections.statements import Statement, round_trips

STREAMS = st.lists(st.lists(st.sampled_from(["insert", "update", "count"]), max_size=6), max_size=6)


def numbered(streams: list[list[str]]) -> list[list[Statement]]:
    return [
        [(sql, (stream, number)) for number, sql in enumerate(statements)]
        for stream, statements in enumerate(streams)
    ]


@given(STREAMS)
def test_every_statement_runs_once_and_those_of_a_stream_in_their_order(
    asked: list[list[str]],
) -> None:
    streams = numbered(asked)
    trips = list(round_trips([deque(statements) for statements in streams]))
    run = [(sql, arguments) for sql, group in trips for arguments in group]
    assert len(run) == sum(len(statements) for statements in streams)
    for stream, statements in enumerate(streams):
        assert [each for each in run if each[1][0] == stream] == statements


@given(st.integers(1, 50))
def test_streams_to_which_the_same_happens_cost_as_much_as_one(count: int) -> None:
    statements: list[tuple[str, tuple[Any, ...]]] = [("insert", ()), ("update", ()), ("count", ())]
    trips = list(round_trips([deque(statements) for _ in range(count)]))
    assert [sql for sql, _ in trips] == ["insert", "update", "count"]
