from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.catalog.decider.modules import (
    PutModule,
    WithdrawModule,
    decide_module,
    evolve_module,
)
from services.catalog.decider.syncs import (
    ATTEMPTS_MAX,
    WAITING_MAX,
    FinishSync,
    QueueSync,
    ScopeBusyRefusal,
    StartSync,
    SyncNotRunningRefusal,
    decide_sync,
    evolve_scope,
    evolve_sync,
)
from services.catalog.definition import Definition, Variable
from services.catalog.events import (
    Change,
    Content,
    ModuleListed,
    ModulePublished,
    ModuleReread,
    ModuleState,
    ModuleUpdated,
    ModuleWithdrawn,
    ScopeState,
    SyncAdmitted,
    SyncFinished,
    SyncLeft,
    SyncQueued,
    SyncStarted,
    SyncState,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
QUEUE = QueueSync(
    scope="platform",
    partner_id=None,
    repository_url="https://git.example.com/modules",
    branch="main",
    requested_by="ada",
    expires_at=NOON + timedelta(hours=24),
    waiting=0,
    allow_local=False,
)


START = StartSync(is_first=True)


def sync(*facts: Any) -> SyncState:
    state = SyncState()
    for fact in facts:
        state = evolve_sync(state, fact)
    return state


def queued() -> SyncState:
    return sync(*decide_sync(QUEUE, SyncState(), NOON))


def running(attempt: int = 1) -> SyncState:
    return evolve_sync(queued(), SyncStarted(attempt=attempt, started_at=NOON))


def finish(attempt: int = 1, error: str | None = None) -> FinishSync:
    return FinishSync(attempt=attempt, commit="c0ffee", error=error, modules=())


class TestSyncs:
    def test_a_sync_that_is_asked_for_waits(self) -> None:
        [fact] = decide_sync(QUEUE, SyncState(), NOON)
        assert isinstance(fact, SyncQueued)
        assert queued().status == "WAITING"

    def test_a_sync_that_is_asked_for_twice_is_one(self) -> None:
        assert decide_sync(QUEUE, queued(), NOON) == []
        assert decide_sync(QUEUE, running(), NOON) == []

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"expires_at": NOON}, "the request had expired"),
            ({"waiting": WAITING_MAX}, f"{WAITING_MAX} syncs of this repository are waiting"),
            ({"repository_url": "ext::sh"}, "a repository is read by https:// only"),
            ({"repository_url": "/srv/modules"}, "repositories on this machine are for developm"),
            ({"branch": "--upload-pack=x"}, "'--upload-pack=x' is no name of a branch"),
            ({"partner_id": "pia"}, "a partner's sync names the partner"),
            ({"scope": "partner"}, "a partner's sync names the partner"),
        ],
    )
    def test_a_sync_that_cannot_succeed_fails_at_once_and_says_why(
        self, change: dict[str, Any], error: str
    ) -> None:
        _, finished = decide_sync(replace(QUEUE, **change), SyncState(), NOON)
        assert isinstance(finished, SyncFinished)
        assert finished.status == "FAILED"
        assert finished.error is not None
        assert finished.error.startswith(error)

    def test_credentials_in_an_address_are_refused_and_not_kept(self) -> None:
        command = replace(QUEUE, repository_url="https://ada:hunter2@git.example.com/modules")
        facts = decide_sync(command, SyncState(), NOON)
        assert sync(*facts).status == "FAILED"
        assert b"hunter2" not in msgspec.json.encode(facts)

    def test_a_waiting_sync_is_begun_and_ends(self) -> None:
        [started] = decide_sync(START, queued(), NOON)
        assert started == SyncStarted(attempt=1, started_at=NOON)
        [finished] = decide_sync(finish(), running(), NOON + timedelta(minutes=1))
        assert isinstance(finished, SyncFinished)
        assert (finished.status, finished.commit, finished.started_at) == ("DONE", "c0ffee", NOON)

    def test_a_sync_whose_process_died_is_begun_again(self) -> None:
        later = NOON + timedelta(minutes=5)
        [started] = decide_sync(START, running(), later)
        assert started == SyncStarted(attempt=2, started_at=NOON)

    def test_a_sync_waits_for_the_one_before_it_in_its_scope(self) -> None:
        with pytest.raises(ScopeBusyRefusal):
            decide_sync(StartSync(is_first=False), queued(), NOON)

    def test_a_sync_that_is_interrupted_every_time_is_given_up(self) -> None:
        [finished] = decide_sync(START, running(ATTEMPTS_MAX), NOON)
        assert isinstance(finished, SyncFinished)
        assert finished.error == "the sync was interrupted 3 times; ask for another"

    def test_only_the_present_attempt_can_end_a_sync(self) -> None:
        for state in (queued(), running(2), evolve_sync(running(), _done())):
            with pytest.raises(SyncNotRunningRefusal):
                decide_sync(finish(attempt=1), state, NOON)

    def test_what_has_ended_does_not_begin_again(self) -> None:
        for state in (SyncState(), evolve_sync(running(), _done())):
            with pytest.raises(SyncNotRunningRefusal):
                decide_sync(START, state, NOON)

    def test_a_sync_that_fails_says_why(self) -> None:
        [finished] = decide_sync(finish(error="no such branch"), running(), NOON)
        assert isinstance(finished, SyncFinished)
        assert (finished.status, finished.error) == ("FAILED", "no such branch")


def _done() -> SyncFinished:
    [fact] = decide_sync(finish(), running(), NOON)
    assert isinstance(fact, SyncFinished)
    return fact


DEFINITION = Definition(name="web", title="Web", credit_cost=5)


def but(**fields: Any) -> dict[str, Any]:
    """Return a content's definition, different in these fields."""
    return {"definition": msgspec.structs.replace(DEFINITION, **fields)}


CONTENT = Content(
    definition=DEFINITION,
    repository="https://git.example.com/modules",
    path="web",
    commit="c1",
    archive_digest="sha256:" + "0" * 64,
    archive_folder="",
    fingerprint="f1",
    fingerprint_paths=("web",),
)
PUT = PutModule("admin", None, CONTENT)


def module(*facts: Any) -> ModuleState:
    state = ModuleState()
    for fact in facts:
        state = evolve_module(state, fact)
    return state


def published() -> ModuleState:
    return module(*decide_module(PUT, ModuleState()))


def changed(**fields: Any) -> PutModule:
    return replace(PUT, content=msgspec.structs.replace(CONTENT, **fields))


class TestModules:
    def test_a_new_module_is_published_as_version_1(self) -> None:
        [fact] = decide_module(PUT, ModuleState())
        assert fact == ModulePublished(source="admin", partner_id=None, version=1, content=CONTENT)

    def test_a_module_that_is_the_same_at_another_commit_is_no_new_version(self) -> None:
        assert decide_module(changed(commit="c2"), published()) == []

    def test_a_module_that_is_read_differently_but_is_the_same_only_notes_it(self) -> None:
        [fact] = decide_module(changed(fingerprint="f2", commit="c2"), published())
        assert isinstance(fact, ModuleReread)
        state = evolve_module(published(), fact)
        assert state.version == 1
        assert state.content is not None
        assert (state.content.fingerprint, state.content.commit) == ("f2", "c1")

    @pytest.mark.parametrize(
        ("fields", "change"),
        [
            ({"archive_digest": "sha256:" + "1" * 64}, "its files changed, or those it uses"),
            ({"path": "modules/web"}, "was moved"),
            ({"repository": "https://git.example.com/elsewhere"}, "was moved"),
            ({"archive_folder": "web"}, "was moved"),
            (but(credit_cost=6), "costs 6 credits, 5 until now"),
            (but(require_credit_purchases=True), "only credits that were bought pay for it now"),
            (but(public_access=True), "others see it now"),
            (but(readme="# X", tags=("x",)), "says something else: tags, readme"),
        ],
    )
    def test_any_other_difference_is_a_new_version_and_is_told(
        self, fields: dict[str, Any], change: str
    ) -> None:
        [fact] = decide_module(changed(**fields), published())
        assert isinstance(fact, ModuleUpdated)
        assert fact.version == 2
        assert fact.changes == (Change(variable=None, change=change, breaking=False),)

    def test_an_update_says_how_variables_changed(self) -> None:
        variable = Variable(name="region", type="string", required=True)
        grown = msgspec.structs.replace(DEFINITION, variables=(variable,))
        [fact] = decide_module(changed(definition=grown), published())
        assert isinstance(fact, ModuleUpdated)
        assert [(c.variable, c.breaking) for c in fact.changes] == [("region", True)]

    def test_a_default_that_turns_from_1_into_true_is_a_change(self) -> None:
        def with_default(value: Any) -> Definition:
            variable = Variable(name="v", type="any", required=False, default=value)
            return msgspec.structs.replace(DEFINITION, variables=(variable,))

        before = module(*decide_module(changed(definition=with_default(1)), ModuleState()))
        [fact] = decide_module(changed(definition=with_default(True)), before)
        assert isinstance(fact, ModuleUpdated)

    def test_a_module_is_withdrawn_once(self) -> None:
        [fact] = decide_module(WithdrawModule(), published())
        assert fact == ModuleWithdrawn()
        assert decide_module(WithdrawModule(), evolve_module(published(), fact)) == []
        assert decide_module(WithdrawModule(), ModuleState()) == []

    def test_a_module_that_comes_back_is_published_with_the_next_version(self) -> None:
        withdrawn = evolve_module(published(), ModuleWithdrawn())
        [fact] = decide_module(PUT, withdrawn)
        assert isinstance(fact, ModulePublished)
        assert fact.version == 2


def test_a_scope_knows_its_syncs_and_names() -> None:
    state = ScopeState()
    for fact in (
        SyncAdmitted(sync_id="s1"),
        SyncAdmitted(sync_id="s2"),
        ModuleListed(name="web", module_id="m1"),
        SyncLeft(sync_id="s1"),
    ):
        state = evolve_scope(state, fact)
    assert state == ScopeState(modules={"web": "m1"}, syncs=("s2",))
