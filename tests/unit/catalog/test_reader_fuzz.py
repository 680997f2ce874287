"""Whatever a stranger's directory holds, reading it ends with a module, with none, or a refusal."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.catalog import v1
from runtime.store import Recorded
from services.catalog.decider.syncs import (
    FinishSync,
    decide_sync,
)
from services.catalog.definition import ModuleRefusedError, Problem
from services.catalog.events import ModuleReport, SyncFact, SyncState
from services.catalog.module_reader import read_module
from services.catalog.publishing import publish_sync, published_definition
from tests.unit.catalog.modules import EXAMPLES, FIXTURES, files_in

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
REAL_FILES = [
    content
    for directory in (EXAMPLES / "static-website", FIXTURES / "rad" / "modules" / "Bank_GKE")
    for content in files_in(directory).values()
]
PIECES = [
    *(b"variable", b'"module_description"', b'"credit_cost"', b"{", b"}", b"=", b'"', b"default"),
    *(b"type", b"list(", b")", b"<<-EOT\n", b"EOT\n", b"[", b"]", b",", b"name:", b"web", b"\n"),
    *(b"credit_cost:", b" 5\n", b"- ", b": ", b"&a ", b"*a", b"!!x ", b"variables:\n", b"\xff"),
    *(b"\x00", b"${", b"?", b"#", b"validation", b"condition", b"{{UIMeta ", b"options=", b"}}"),
    *(b"/*", b"0x1", b"1e9", b"\t", b"|\n"),
]
SOUP = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real file with some of it replaced, dropped or repeated."""
    content = draw(st.sampled_from(REAL_FILES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 40)))
        content = content[:start] + draw(SOUP | st.just(content[start:end] * 2)) + content[end:]
    return content


def published(problems: tuple[Problem, ...]) -> bytes:
    """Return the message that tells a module's owner of the problems."""
    report = ModuleReport(path="web", name="web", outcome="REFUSED", problems=problems)
    state = SyncState(status="RUNNING", attempt=1)
    command = FinishSync(attempt=1, commit="c1", error=None, modules=(report,))
    facts = decide_sync(command, state, NOON)
    stored = msgspec.json.decode(msgspec.json.encode(facts), type=list[SyncFact])
    record: Recorded[SyncFact] = Recorded(
        stream="sync-1",
        version=1,
        at=NOON,
        fact=stored[0],
        id="1",
        correlation_id="1",
        causation_id=None,
        actor="ada",
    )
    [event] = publish_sync(record)
    return event.model_dump_json().encode()


CONTENT = st.one_of(damaged(), SOUP, st.binary(max_size=60))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("module.yaml", "module.yml", "main.tf", "variables.tf", "README.md"),
                *("more.tf.json", "override.tf", "x_override.tf.json", "a.tofu"),
            ]
        ),
        CONTENT,
    ),
    st.sampled_from(["web", "", "a b", "?"]),
)
def test_reading_never_fails_in_another_way(module: dict[str, bytes], directory: str) -> None:
    try:
        read = read_module(directory, module)
    except ModuleRefusedError as error:
        assert error.problems
        assert published(error.problems)
    else:
        if read is not None:
            assert isinstance(published_definition(read.definition), v1.Definition)
