"""Whatever is asked, reported and repeated: what holds of every deployment's life."""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runtime.refusal import Refusal
from services.deployer.commands import (
    Cancel,
    DeploymentCommand,
    Destroy,
    End,
    Erase,
    Queue,
    Reassign,
    Refuse,
    Retry,
    Start,
    Update,
)
from services.deployer.decider import decide
from services.deployer.events import (
    BuildCancelled,
    BuildFailed,
    BuildQueued,
    BuildReassigned,
    BuildStarted,
    BuildSucceeded,
    BuildTimedOut,
    CancelRequested,
    DeploymentErased,
    DeploymentFact,
    DeploymentRefused,
    DestroyQueued,
    HoldRequested,
    UpdateQueued,
)
from services.deployer.evolution import evolve, initial
from tests.unit.deployer.story import ASK, ENDINGS, NOON, inputs

ENDS = (BuildSucceeded, BuildFailed, BuildCancelled, BuildTimedOut)
QUEUED = (BuildQueued, UpdateQueued, DestroyQueued)
# Mostly the newest build, hold and attempt; sometimes one before, or one that is not there.
BACK = st.sampled_from([0, 0, 0, 0, 1, -1])


class Life(RuleBasedStateMachine):
    """Anything may be commanded at any time, in any order, and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.deployment = initial("deployment-d1")
        self.facts: list[DeploymentFact] = []

    def _command(self, command: DeploymentCommand) -> None:
        try:
            facts = decide(command, self.deployment)
        except Refusal as refusal:
            assert refusal.code in {"ILLEGAL_TRANSITION", "UNKNOWN_DEPLOYMENT", "STALE_REPORT"}
            return
        for fact in facts:
            self.deployment = evolve(self.deployment, fact)
        self.facts += facts

    def _build_id(self, back: int) -> str:
        return f"build-d1-{self.deployment.builds - back}"

    def _attempt(self, back: int) -> int:
        build = self.deployment.build
        return (0 if build is None else build.attempt) - back

    @rule(command=st.sampled_from([ASK, Update(inputs=inputs(4)), Destroy()]))
    def is_asked(self, command: DeploymentCommand) -> None:
        self._command(command)

    @rule()
    def is_retried(self) -> None:
        self._command(Retry(requested_at=NOON, expires_at=NOON))

    @rule(back=BACK)
    def is_held(self, back: int) -> None:
        hold_id = f"hold-d1-{self.deployment.builds - back}"
        self._command(Queue(hold_id=hold_id, credit_cost=1, awarded_part=1, purchased_part=0))

    @rule(back=BACK)
    def is_refused(self, back: int) -> None:
        hold_id = f"hold-d1-{self.deployment.builds - back}"
        self._command(Refuse(user_id="ada", code="C", detail="d", hold_id=hold_id))

    @rule(back=BACK)
    def is_started(self, back: int) -> None:
        self._command(Start(build_id=self._build_id(back), executor="local"))

    @rule(back=BACK, attempt=BACK)
    def is_reassigned(self, back: int, attempt: int) -> None:
        self._command(Reassign(build_id=self._build_id(back), attempt=self._attempt(attempt)))

    @rule()
    def is_cancelled(self) -> None:
        self._command(Cancel(requested_by="ada"))

    @rule(
        back=BACK,
        attempt=BACK,
        ending=st.sampled_from(ENDINGS),
        owns=st.booleans(),
        changed=st.booleans(),
    )
    def is_reported(self, back: int, attempt: int, ending: Any, owns: bool, changed: bool) -> None:
        end = End(
            build_id=self._build_id(back),
            attempt=self._attempt(attempt),
            ending=ending,
            owns_resources=owns,
            state_changed=changed,
        )
        self._command(end)

    @rule()
    def is_erased(self) -> None:
        self._command(Erase(build_id=self._build_id(0)))

    @invariant()
    def one_build_at_most_is_open_and_none_ends_twice(self) -> None:
        open_builds: list[str] = []
        for fact in self.facts:
            if isinstance(fact, QUEUED):
                assert open_builds == []
                open_builds.append(fact.build_id)
            elif isinstance(fact, (BuildStarted, BuildReassigned, CancelRequested)):
                assert open_builds == [fact.build_id]
            elif isinstance(fact, ENDS):
                assert open_builds == [fact.build_id]
                open_builds.clear()

    @invariant()
    def every_build_has_an_id_of_its_own(self) -> None:
        ids = [fact.build_id for fact in self.facts if isinstance(fact, QUEUED)]
        assert len(set(ids)) == len(ids)

    @invariant()
    def every_creation_has_a_hold_of_its_own_and_nothing_else_has_one(self) -> None:
        asked = [fact.hold_id for fact in self.facts if isinstance(fact, HoldRequested)]
        assert len(set(asked)) == len(asked)
        for fact in self.facts:
            if isinstance(fact, (*QUEUED, *ENDS, BuildStarted)):
                assert (fact.hold_id is not None) == (fact.action == "CREATE")
            if isinstance(fact, BuildQueued):
                assert fact.hold_id in asked

    @invariant()
    def every_hold_is_settled_at_most_once_and_one_of_them_at_most(self) -> None:
        ends = [fact for fact in self.facts if isinstance(fact, ENDS) and fact.hold_id]
        assert max(Counter(fact.hold_id for fact in ends).values(), default=0) <= 1
        assert sum(isinstance(fact, BuildSucceeded) for fact in ends) <= 1

    @invariant()
    def a_runner_is_given_each_build_at_most_once_and_attempts_only_grow(self) -> None:
        attempts: dict[str, list[int]] = {}
        for fact in self.facts:
            if isinstance(fact, (BuildStarted, BuildReassigned)):
                attempts.setdefault(fact.build_id, []).append(fact.attempt)
        for each in attempts.values():
            assert each == list(range(1, len(each) + 1))

    @invariant()
    def nothing_follows_a_refusal_or_an_erasure_but_an_erasure(self) -> None:
        last = [isinstance(fact, DeploymentRefused | DeploymentErased) for fact in self.facts]
        if True in last:
            rest = self.facts[last.index(True) + 1 :]
            assert all(isinstance(fact, DeploymentErased) for fact in rest)
            assert len(rest) <= 1

    @invariant()
    def what_owns_resources_is_never_gone(self) -> None:
        if self.deployment.status in {"DESTROYED", "ERASED", "REFUSED"}:
            assert not self.deployment.owns_resources

    @invariant()
    def what_was_live_is_live_until_it_is_destroyed(self) -> None:
        succeeded = [f for f in self.facts if isinstance(f, BuildSucceeded)]
        if succeeded and not any(fact.action == "DESTROY" for fact in succeeded):
            statuses = {"SUCCESS", "UPDATING", "DESTROYING", "ERASED"}
            assert self.deployment.status in statuses


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
