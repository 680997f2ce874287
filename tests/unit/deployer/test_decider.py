import pytest
from hypothesis import given as of_any
from hypothesis import strategies as st

from runtime.refusal import Refusal
from services.deployer.decider import (
    Cancel,
    DeploymentCommand,
    End,
    Ending,
    Queue,
    Reassign,
    Refuse,
    Start,
    decide,
    initial,
)
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
    DeploymentFact,
    DeploymentRefused,
    Problem,
)
from tests.unit.deployer.story import (
    ACCEPTED,
    ASK,
    BUILD,
    ENDINGS,
    FAIL,
    HOLD,
    QUEUE,
    START,
    STOPPED,
    SUCCEED,
    TIME_OUT,
    after,
    end,
    given,
)

CANCEL = Cancel(requested_by="ada")
REFUSE = Refuse(user_id="ada", code="INSUFFICIENT_TOTAL_CREDITS", detail="not enough", required=50)
AGAIN = Reassign(build_id=BUILD, attempt=1)
NEW = given()
REQUESTED = given(ASK)
REFUSED = given(ASK, REFUSE)
QUEUED = given(ASK, QUEUE)
RUNNING = given(ASK, QUEUE, START)
STOPPING = given(ASK, QUEUE, START, CANCEL)
SECOND = given(ASK, QUEUE, START, AGAIN)
ENDED = [given(ASK, QUEUE, START, end(ending)) for ending in ENDINGS]


@pytest.mark.parametrize(
    ("deployment", "command", "status"),
    [
        (NEW, ASK, "REQUESTED"),
        (NEW, REFUSE, "REFUSED"),
        (REQUESTED, REFUSE, "REFUSED"),
        (REQUESTED, QUEUE, "QUEUED"),
        (QUEUED, START, "PROVISIONING"),
        (QUEUED, CANCEL, "CANCELLED"),
        (RUNNING, CANCEL, "PROVISIONING"),
        (RUNNING, AGAIN, "PROVISIONING"),
        (RUNNING, end(SUCCEED), "SUCCESS"),
        (RUNNING, end(FAIL), "FAILED"),
        (RUNNING, end(STOPPED), "CANCELLED"),
        (RUNNING, end(TIME_OUT), "TIMED_OUT"),
        (STOPPING, end(SUCCEED), "SUCCESS"),
        (STOPPING, end(FAIL), "FAILED"),
        (STOPPING, end(STOPPED), "CANCELLED"),
        (SECOND, end(SUCCEED, attempt=2), "SUCCESS"),
    ],
)
def test_every_step_leads_where_it_should(
    deployment: Deployment, command: DeploymentCommand, status: str
) -> None:
    facts = decide(command, deployment)
    assert len(facts) == 1
    assert after(deployment, facts).status == status


@pytest.mark.parametrize(
    ("deployment", "command"),
    [
        *[(deployment, ASK) for deployment in (REQUESTED, REFUSED, QUEUED, RUNNING, *ENDED)],
        *[(deployment, REFUSE) for deployment in (REFUSED, QUEUED, RUNNING, *ENDED)],
        *[(deployment, QUEUE) for deployment in (NEW, REFUSED, QUEUED, RUNNING, *ENDED)],
        (REQUESTED, Queue(hold_id="hold-other", credit_cost=1, awarded_part=1, purchased_part=0)),
        (STOPPING, CANCEL),
    ],
)
def test_what_comes_late_or_again_changes_nothing(
    deployment: Deployment, command: DeploymentCommand
) -> None:
    assert decide(command, deployment) == []


@pytest.mark.parametrize(
    ("deployment", "command", "code"),
    [
        (NEW, CANCEL, "UNKNOWN_DEPLOYMENT"),
        *[(deployment, CANCEL, "ILLEGAL_TRANSITION") for deployment in (REQUESTED, REFUSED)],
        *[(deployment, CANCEL, "ILLEGAL_TRANSITION") for deployment in ENDED],
        *[(deployment, START, "ILLEGAL_TRANSITION") for deployment in (NEW, REQUESTED, REFUSED)],
        *[(deployment, START, "ILLEGAL_TRANSITION") for deployment in (RUNNING, SECOND, *ENDED)],
        (QUEUED, Start(build_id="build-other", executor="local"), "ILLEGAL_TRANSITION"),
        *[(deployment, AGAIN, "STALE_REPORT") for deployment in (NEW, QUEUED, SECOND, *ENDED)],
        (STOPPING, AGAIN, "ILLEGAL_TRANSITION"),
        *[
            (deployment, end(ending), "STALE_REPORT")
            for deployment in (NEW, REQUESTED, REFUSED, QUEUED, SECOND, *ENDED)
            for ending in ENDINGS
        ],
        (RUNNING, end(SUCCEED, attempt=2), "STALE_REPORT"),
        (RUNNING, end(SUCCEED, build_id="build-other"), "STALE_REPORT"),
        (SECOND, end(SUCCEED, attempt=1), "STALE_REPORT"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    deployment: Deployment, command: DeploymentCommand, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        decide(command, deployment)
    assert refused.value.code == code


def test_a_refusal_tells_what_the_wallet_lacks_and_which_variables_are_wrong() -> None:
    problem = Problem(pointer="/region", message="is not offered", code="OPTION")
    refuse = Refuse(
        user_id="ada", code="C", detail="d", required=50, available=3, errors=(problem,)
    )
    assert decide(refuse, NEW) == [
        DeploymentRefused(
            user_id="ada", code="C", detail="d", required=50, available=3, errors=(problem,)
        )
    ]


def test_a_queued_build_says_what_it_costs_and_what_was_asked_for() -> None:
    [fact] = decide(QUEUE, REQUESTED)
    assert isinstance(fact, BuildQueued)
    assert (fact.credit_cost, fact.awarded_part, fact.purchased_part) == (50, 20, 30)
    assert (fact.request, fact.hold_id) == (ACCEPTED, HOLD)


def test_the_first_attempt_is_number_one_and_each_other_is_one_more() -> None:
    [started] = decide(START, QUEUED)
    [again] = decide(AGAIN, RUNNING)
    [third] = decide(Reassign(build_id=BUILD, attempt=2), SECOND)
    assert isinstance(started, BuildStarted)
    assert isinstance(again, BuildReassigned)
    assert isinstance(third, BuildReassigned)
    assert [started.attempt, again.attempt, third.attempt] == [1, 2, 3]


def test_a_waiting_build_that_is_cancelled_owns_nothing() -> None:
    [fact] = decide(CANCEL, QUEUED)
    assert isinstance(fact, BuildCancelled)
    assert (fact.cancelled_by, fact.owns_resources, fact.attempt) == ("ada", False, 0)


def test_a_running_build_that_is_to_be_cancelled_goes_on_until_its_runner_reports() -> None:
    assert decide(CANCEL, RUNNING) == [CancelRequested(build_id=BUILD, requested_by="ada")]
    [fact] = decide(end(STOPPED), STOPPING)
    assert isinstance(fact, BuildCancelled)
    assert (fact.cancelled_by, fact.owns_resources) == ("ada", True)


def test_a_build_that_nobody_cancelled_was_stopped_by_tollgate() -> None:
    [fact] = decide(end(STOPPED), RUNNING)
    assert isinstance(fact, BuildCancelled)
    assert fact.cancelled_by == "tollgate"


@pytest.mark.parametrize("owns", [True, False])
@pytest.mark.parametrize("ending", [FAIL, STOPPED, TIME_OUT])
def test_what_ended_badly_says_whether_it_owns_resources(ending: Ending, owns: bool) -> None:
    [fact] = decide(end(ending, owns_resources=owns), RUNNING)
    assert isinstance(fact, BuildFailed | BuildCancelled | BuildTimedOut)
    assert fact.owns_resources is owns


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_end_names_the_hold_that_it_settles_or_releases(ending: Ending) -> None:
    [fact] = decide(end(ending), RUNNING)
    assert isinstance(fact, BuildSucceeded | BuildFailed | BuildCancelled | BuildTimedOut)
    assert (fact.hold_id, fact.build_id, fact.user_id) == (HOLD, BUILD, "ada")


ENDS = (BuildSucceeded, BuildFailed, BuildCancelled, BuildTimedOut)
BUILDS = st.sampled_from([BUILD, "build-other"])
ATTEMPTS = st.integers(0, 4)
COMMANDS: st.SearchStrategy[DeploymentCommand] = st.one_of(
    st.sampled_from([ASK, REFUSE, QUEUE, START, CANCEL]),
    st.builds(Reassign, build_id=BUILDS, attempt=ATTEMPTS),
    st.builds(
        End,
        build_id=BUILDS,
        attempt=ATTEMPTS,
        ending=st.sampled_from(ENDINGS),
        owns_resources=st.booleans(),
    ),
)


def _facts_of(commands: list[DeploymentCommand]) -> list[DeploymentFact]:
    deployment, facts = initial("deployment-d1"), list[DeploymentFact]()
    for command in commands:
        try:
            brought = decide(command, deployment)
        except Refusal:
            continue
        deployment = after(deployment, brought)
        facts += brought
    return facts


LIKELY: st.SearchStrategy[list[DeploymentCommand]] = st.builds(
    lambda head, rest: [*head, *rest],
    st.sampled_from([[], [ASK], [ASK, QUEUE], [ASK, QUEUE, START]]),
    st.lists(COMMANDS, max_size=30),
)


@of_any(LIKELY)
def test_a_build_ends_at_most_once_and_nothing_follows(commands: list[DeploymentCommand]) -> None:
    facts = _facts_of(commands)
    ends = [place for place, fact in enumerate(facts) if isinstance(fact, ENDS)]
    assert ends in ([], [len(facts) - 1])


@of_any(LIKELY)
def test_a_build_starts_at_most_once_and_attempts_only_grow(
    commands: list[DeploymentCommand],
) -> None:
    facts = _facts_of(commands)
    attempts = [f.attempt for f in facts if isinstance(f, BuildStarted | BuildReassigned)]
    assert attempts == list(range(1, len(attempts) + 1))
    assert sum(isinstance(fact, BuildStarted) for fact in facts) <= 1


@of_any(LIKELY)
def test_a_refused_deployment_stays_refused(commands: list[DeploymentCommand]) -> None:
    facts = _facts_of(commands)
    refusals = [place for place, fact in enumerate(facts) if isinstance(fact, DeploymentRefused)]
    assert refusals in ([], [len(facts) - 1])
