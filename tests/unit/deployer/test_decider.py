"""The whole matrix: what each command does in each state, and what its facts say."""

from typing import Any

import pytest

from runtime.refusal import Refusal
from services.deployer.commands import (
    Cancel,
    DeploymentCommand,
    Destroy,
    Ending,
    Erase,
    Fail,
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
    Deployment,
    DeploymentErased,
    DeploymentRefused,
    DestroyQueued,
    HoldRequested,
    Problem,
    UpdateQueued,
)
from tests.unit.deployer.story import (
    ACCEPTED,
    ASK,
    BUILD,
    ENDINGS,
    FAIL,
    HOLD,
    NOON,
    QUEUE,
    START,
    STOPPED,
    SUCCEED,
    TIME_OUT,
    after,
    end,
    given,
    inputs,
)

CANCEL = Cancel(requested_by="ada")
REFUSE = Refuse(user_id="ada", code="INSUFFICIENT_TOTAL_CREDITS", detail="not enough", required=50)
AGAIN = Reassign(build_id=BUILD, attempt=1)
UPDATE, DESTROY = Update(inputs=inputs(4)), Destroy()
RETRY = Retry(requested_at=NOON, expires_at=NOON)


def begin(number: int) -> Start:
    return Start(build_id=f"build-d1-{number}", executor="local")


def ended(number: int, ending: Ending, **changed: Any) -> DeploymentCommand:
    return end(ending, build_id=f"build-d1-{number}", **changed)


def queue(number: int) -> Queue:
    return Queue(hold_id=f"hold-d1-{number}", credit_cost=50, awarded_part=50, purchased_part=0)


LIVE = (ASK, QUEUE, START, end(SUCCEED))
BROKEN = (ASK, QUEUE, START, end(FAIL))
EMPTY = (ASK, QUEUE, START, end(FAIL, owns_resources=False))
STATES: dict[str, Deployment] = {
    "new": given(),
    "requested": given(ASK),
    "refused": given(ASK, REFUSE),
    "queued": given(ASK, QUEUE),
    "running": given(ASK, QUEUE, START),
    "stopping": given(ASK, QUEUE, START, CANCEL),
    "live": given(*LIVE),
    "failed": given(*BROKEN),
    "failed-empty": given(*EMPTY),
    "cancelled": given(ASK, QUEUE, START, end(STOPPED)),
    "timed-out": given(ASK, QUEUE, START, end(TIME_OUT)),
    "retry-asked": given(*BROKEN, RETRY),
    "retry-queued": given(*BROKEN, RETRY, queue(2)),
    "update-queued": given(*LIVE, UPDATE),
    "updating": given(*LIVE, UPDATE, begin(2)),
    "update-failed": given(*LIVE, UPDATE, begin(2), ended(2, FAIL)),
    "destroy-queued": given(*LIVE, DESTROY),
    "destroying": given(*LIVE, DESTROY, begin(2)),
    "destroy-failed": given(*LIVE, DESTROY, begin(2), ended(2, FAIL)),
    "destroyed": given(*LIVE, DESTROY, begin(2), ended(2, SUCCEED, owns_resources=False)),
    "erased": given(*EMPTY, Erase(build_id=BUILD)),
}

ILLEGAL, UNKNOWN, STALE = "ILLEGAL_TRANSITION", "UNKNOWN_DEPLOYMENT", "STALE_REPORT"
COLUMNS = ("request", "refuse", "queue", "update", "destroy", "retry", "start", "cancel", "end",
           "reassign", "erase")  # fmt: skip
TABLE = """
new            REQUESTED REFUSED -         UNKNOWN  UNKNOWN    UNKNOWN   ILLEGAL      UNKNOWN   STALE   STALE        ILLEGAL
requested      -         REFUSED QUEUED    ILLEGAL  ILLEGAL    ILLEGAL   ILLEGAL      ILLEGAL   STALE   STALE        ILLEGAL
refused        -         -       -         UNKNOWN  UNKNOWN    UNKNOWN   ILLEGAL      UNKNOWN   STALE   STALE        ILLEGAL
queued         -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   PROVISIONING CANCELLED STALE   STALE        ILLEGAL
running        -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   ILLEGAL      PROVISIONING SUCCESS PROVISIONING ILLEGAL
stopping       -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   ILLEGAL      -         SUCCESS ILLEGAL      ILLEGAL
live           -         -       -         UPDATING DESTROYING ILLEGAL   ILLEGAL      ILLEGAL   STALE   STALE        ILLEGAL
failed         -         -       -         ILLEGAL  DESTROYING REQUESTED ILLEGAL      ILLEGAL   STALE   STALE        ILLEGAL
failed-empty   -         -       -         ILLEGAL  DESTROYED  REQUESTED ILLEGAL      ILLEGAL   STALE   STALE        ERASED
cancelled      -         -       -         ILLEGAL  DESTROYING REQUESTED ILLEGAL      ILLEGAL   STALE   STALE        ILLEGAL
timed-out      -         -       -         ILLEGAL  DESTROYING REQUESTED ILLEGAL      ILLEGAL   STALE   STALE        ILLEGAL
retry-asked    -         FAILED  QUEUED    ILLEGAL  ILLEGAL    ILLEGAL   ILLEGAL      ILLEGAL   STALE   STALE        ILLEGAL
retry-queued   -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   PROVISIONING CANCELLED STALE   STALE        ILLEGAL
update-queued  -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   UPDATING     SUCCESS   STALE   STALE        ILLEGAL
updating       -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   ILLEGAL      UPDATING  SUCCESS UPDATING     ILLEGAL
update-failed  -         -       -         UPDATING DESTROYING UPDATING  ILLEGAL      ILLEGAL   STALE   STALE        ILLEGAL
destroy-queued -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   DESTROYING   SUCCESS   STALE   STALE        ILLEGAL
destroying     -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   ILLEGAL      DESTROYING SUCCESS DESTROYING  ILLEGAL
destroy-failed -         -       -         UPDATING DESTROYING DESTROYING ILLEGAL     ILLEGAL   STALE   STALE        ILLEGAL
destroyed      -         -       -         ILLEGAL  ILLEGAL    ILLEGAL   ILLEGAL      ILLEGAL   STALE   STALE        ERASED
erased         -         -       -         UNKNOWN  UNKNOWN    UNKNOWN   ILLEGAL      UNKNOWN   STALE   STALE        ILLEGAL
"""  # noqa: E501 - a table is read by its columns
"""State × command → the status that follows, `-` where nothing does, or the refusal's code.

The commands are about the deployment's newest build, which a report says still owns resources.
"""


def command(name: str, deployment: Deployment) -> DeploymentCommand:
    number = max(deployment.builds, 1)
    build_id = f"build-d1-{number}"
    commands: dict[str, DeploymentCommand] = {
        "request": ASK,
        "refuse": REFUSE,
        "queue": queue(number),
        "update": UPDATE,
        "destroy": DESTROY,
        "retry": RETRY,
        "start": begin(number),
        "cancel": CANCEL,
        "end": ended(number, SUCCEED),
        "reassign": Reassign(build_id=build_id, attempt=1),
        "erase": Erase(build_id=build_id),
    }
    return commands[name]


MATRIX = [
    (state, name, outcome)
    for state, *outcomes in (line.split() for line in TABLE.strip().splitlines())
    for name, outcome in zip(COLUMNS, outcomes, strict=True)
]


def outcome_of(given_command: DeploymentCommand, deployment: Deployment) -> str:
    try:
        facts = decide(given_command, deployment)
    except Refusal as refusal:
        return {ILLEGAL: "ILLEGAL", UNKNOWN: "UNKNOWN", STALE: "STALE"}[refusal.code]
    return after(deployment, facts).status if facts else "-"


def test_the_matrix_has_every_state() -> None:
    assert {state for state, _, _ in MATRIX} == set(STATES)


@pytest.mark.parametrize(("state", "name", "outcome"), MATRIX)
def test_every_command_in_every_state_does_what_the_matrix_says(
    state: str, name: str, outcome: str
) -> None:
    deployment = STATES[state]
    assert outcome_of(command(name, deployment), deployment) == outcome


@pytest.mark.parametrize(
    ("state", "status"),
    [("queued", "QUEUED"), ("retry-asked", "FAILED"), ("destroyed", "DESTROYED")],
)
def test_what_the_status_forbids_names_the_status_that_is_known(state: str, status: str) -> None:
    with pytest.raises(Refusal) as refused:
        decide(UPDATE, STATES[state])
    assert refused.value.fields == {"status": status}


@pytest.mark.parametrize("state", ["running", "updating", "destroying"])
@pytest.mark.parametrize("wrong", [{"attempt": 2}, {"build_id": "build-other"}])
def test_a_report_of_another_attempt_is_stale(state: str, wrong: dict[str, Any]) -> None:
    deployment = STATES[state]
    assert deployment.build is not None
    fields: dict[str, Any] = {"build_id": deployment.build.build_id} | wrong
    assert outcome_of(end(SUCCEED, **fields), deployment) == "STALE"


@pytest.mark.parametrize(
    ("ending", "created", "changed"),
    [(FAIL, "FAILED", "SUCCESS"), (STOPPED, "CANCELLED", "SUCCESS"),
     (TIME_OUT, "TIMED_OUT", "SUCCESS")],
)  # fmt: skip
def test_only_a_first_build_that_ends_badly_says_so_of_the_deployment(
    ending: Ending, created: str, changed: str
) -> None:
    assert outcome_of(ended(1, ending), STATES["running"]) == created
    assert outcome_of(ended(2, ending), STATES["updating"]) == changed
    assert outcome_of(ended(2, ending), STATES["destroying"]) == changed


def test_a_failed_deployment_whose_destroy_fails_is_still_failed_and_its_destroy_is_retried() -> (
    None
):
    deployment = given(*BROKEN, DESTROY, begin(2), ended(2, TIME_OUT))
    assert (deployment.status, deployment.owns_resources) == ("FAILED", True)
    [again] = decide(RETRY, deployment)
    assert isinstance(again, DestroyQueued)


def test_a_destroy_that_leaves_resources_has_failed() -> None:
    [fact] = decide(ended(2, SUCCEED, owns_resources=True), STATES["destroying"])
    assert isinstance(fact, BuildFailed)
    assert (fact.code, fact.owns_resources, fact.status) == ("RESOURCES_LEFT", True, "SUCCESS")


def test_what_owns_nothing_is_destroyed_without_terraform() -> None:
    queued, destroyed = decide(DESTROY, STATES["failed-empty"])
    assert isinstance(queued, DestroyQueued)
    assert isinstance(destroyed, BuildSucceeded)
    assert (destroyed.attempt, destroyed.owns_resources) == (0, False)


def test_a_destroy_uses_what_the_resources_were_made_of() -> None:
    [first] = decide(DESTROY, STATES["live"])
    untouched = given(*LIVE, UPDATE, begin(2), ended(2, FAIL, state_changed=False))
    [second] = decide(DESTROY, untouched)
    [third] = decide(DESTROY, STATES["update-failed"])
    assert isinstance(first, DestroyQueued)
    assert isinstance(second, DestroyQueued)
    assert isinstance(third, DestroyQueued)
    assert [each.inputs.module_version for each in (first, second, third)] == [3, 3, 4]


def test_a_retry_of_an_update_wants_what_that_wanted() -> None:
    deployment = given(*LIVE, UPDATE, begin(2), ended(2, FAIL, state_changed=False))
    [fact] = decide(RETRY, deployment)
    assert isinstance(fact, UpdateQueued)
    assert (fact.inputs, fact.build_id, fact.hold_id) == (inputs(4), "build-d1-3", None)


def test_a_retry_of_a_creation_asks_for_a_hold_of_its_own() -> None:
    [fact] = decide(RETRY, STATES["failed"])
    assert isinstance(fact, HoldRequested)
    assert (fact.build_id, fact.hold_id, fact.list_price) == ("build-d1-2", "hold-d1-2", 50)
    [refused] = decide(REFUSE, STATES["retry-asked"])
    assert after(STATES["retry-asked"], [refused]).builds == 2


def test_an_answer_about_another_hold_is_ignored() -> None:
    late = Refuse(user_id="ada", code="C", detail="d", hold_id=HOLD)
    assert decide(late, STATES["retry-asked"]) == []
    assert decide(QUEUE, STATES["retry-asked"]) == []


def test_what_has_been_built_meanwhile_is_not_erased() -> None:
    assert outcome_of(Erase(build_id="build-d1-0"), STATES["failed-empty"]) == "ILLEGAL"


def test_an_erased_deployment_keeps_nothing_but_its_id() -> None:
    [fact] = decide(Erase(build_id=BUILD), STATES["failed-empty"])
    assert fact == DeploymentErased(user_id="ada")
    left = after(STATES["failed-empty"], [fact])
    assert left == Deployment(deployment_id="d1", status="ERASED", resting="ERASED")


def test_a_refusal_tells_what_the_wallet_lacks_and_which_variables_are_wrong() -> None:
    problem = Problem(pointer="/region", message="is not offered", code="OPTION")
    refuse = Refuse(
        user_id="ada", code="C", detail="d", required=50, available=3, errors=(problem,)
    )
    assert decide(refuse, STATES["new"]) == [
        DeploymentRefused(
            user_id="ada", code="C", detail="d", required=50, available=3, errors=(problem,)
        )
    ]


def test_a_queued_build_says_what_it_costs_and_what_was_asked_for() -> None:
    [fact] = decide(QUEUE, STATES["requested"])
    assert isinstance(fact, BuildQueued)
    assert (fact.credit_cost, fact.awarded_part, fact.purchased_part) == (50, 20, 30)
    assert (fact.request, fact.hold_id) == (ACCEPTED, HOLD)


def test_the_first_attempt_is_number_one_and_each_other_is_one_more() -> None:
    [started] = decide(START, STATES["queued"])
    second = after(STATES["running"], decide(AGAIN, STATES["running"]))
    [third] = decide(Reassign(build_id=BUILD, attempt=2), second)
    assert isinstance(started, BuildStarted)
    assert isinstance(third, BuildReassigned)
    assert [started.attempt, third.attempt] == [1, 3]


@pytest.mark.parametrize(("state", "owns"), [("queued", False), ("update-queued", True)])
def test_a_waiting_build_that_is_cancelled_has_changed_nothing(state: str, owns: bool) -> None:
    [fact] = decide(CANCEL, STATES[state])
    assert isinstance(fact, BuildCancelled)
    assert (fact.cancelled_by, fact.owns_resources, fact.attempt) == ("ada", owns, 0)
    assert not fact.state_changed


def test_a_running_build_that_is_to_be_cancelled_goes_on_until_its_runner_reports() -> None:
    assert decide(CANCEL, STATES["running"]) == [
        CancelRequested(build_id=BUILD, requested_by="ada")
    ]
    [fact] = decide(end(STOPPED), STATES["stopping"])
    assert isinstance(fact, BuildCancelled)
    assert (fact.cancelled_by, fact.owns_resources) == ("ada", True)


def test_a_build_that_nobody_cancelled_was_stopped_by_tollgate() -> None:
    [fact] = decide(end(STOPPED), STATES["running"])
    assert isinstance(fact, BuildCancelled)
    assert fact.cancelled_by == "tollgate"


@pytest.mark.parametrize("owns", [True, False])
@pytest.mark.parametrize("ending", [SUCCEED, FAIL, STOPPED, TIME_OUT])
def test_every_end_says_whether_the_deployment_owns_resources(ending: Ending, owns: bool) -> None:
    [fact] = decide(end(ending, owns_resources=owns), STATES["running"])
    assert isinstance(fact, BuildSucceeded | BuildFailed | BuildCancelled | BuildTimedOut)
    assert fact.owns_resources is owns


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_end_of_a_creation_names_its_hold_and_no_other_end_names_one(ending: Ending) -> None:
    [created] = decide(end(ending), STATES["running"])
    assert isinstance(created, BuildSucceeded | BuildFailed | BuildCancelled | BuildTimedOut)
    assert (created.hold_id, created.build_id, created.user_id) == (HOLD, BUILD, "ada")
    for state in ("updating", "destroying"):
        [fact] = decide(ended(2, ending), STATES[state])
        assert isinstance(fact, BuildSucceeded | BuildFailed | BuildCancelled | BuildTimedOut)
        assert fact.hold_id is None


def test_a_failure_says_whose_fault_it_is() -> None:
    [fact] = decide(end(Fail(code="C", message="m", platform_fault=True)), STATES["running"])
    assert isinstance(fact, BuildFailed)
    assert (fact.code, fact.message, fact.platform_fault) == ("C", "m", True)
