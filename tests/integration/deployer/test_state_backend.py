"""What Terraform and its runner may do with tokens, jobs, states and locks, over real HTTP."""

import asyncio
import io
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime.archive import digest_of
from services.deployer.builds_api import BODY_BYTES_MAX
from tests.integration.deployer.processes import HandledDeployer
from tests.integration.deployer.runner_by_hand import (
    FIRST,
    ONE,
    SECOND,
    TWO,
    VALUES,
    Build,
    claimed_build,
)


@pytest_asyncio.fixture
async def build_given(still_deployer: HandledDeployer) -> AsyncIterator[Build]:
    """Give a build that the test is the runner of."""
    async with claimed_build(still_deployer) as build:
        yield build


def lock(lock_id: str, who: str = "ada") -> dict[str, str]:
    """Return what Terraform says when it locks."""
    return {"ID": lock_id, "Operation": "OperationTypeApply", "Who": who, "Version": "1.9"}


class TestTokens:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Bearer "},
            {"Authorization": "Basic !!!"},
            {"Authorization": "Basic d3Jvbmc="},
            {"Authorization": "Digest first-runner"},
        ],
    )
    async def test_without_the_attempts_token_nothing_is_answered(
        self, build_given: Build, headers: dict[str, str]
    ) -> None:
        for path in ("job", "source", "state"):
            url = f"/builds/{build_given.build_id}/{path}"
            assert (await build_given.client.get(url, headers=headers)).status == 401

    async def test_a_token_opens_no_other_build(self, build_given: Build) -> None:
        headers = {"Authorization": f"Bearer {FIRST.runner}"}
        answer = await build_given.client.get("/builds/build-other-1/job", headers=headers)
        assert answer.status == 401

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "job"), ("GET", "source"), ("POST", "logs"), ("POST", "result")],
    )
    async def test_terraforms_token_opens_nothing_but_the_state(
        self, build_given: Build, method: str, path: str
    ) -> None:
        status, _ = await build_given.terraform(method, path=path)
        assert status == 403

    async def test_those_of_an_attempt_that_was_given_to_another_are_void(
        self, build_given: Build
    ) -> None:
        await build_given.is_given_to_another()
        assert (await build_given.says("GET", "job"))[0] == 401
        assert (await build_given.terraform("POST", ONE))[0] == 401
        assert (await build_given.says("GET", "job", token=SECOND.runner))[0] == 200


class TestJobs:
    async def test_a_job_says_what_to_run_and_what_to_hide(self, build_given: Build) -> None:
        status, body = await build_given.says("GET", "job")
        job = json.loads(body)
        assert status == 200
        assert job["variables"] == VALUES
        assert job["secrets"] == ["swordfish"]
        assert job["archive_digest"] == build_given.archive_digest

    async def test_it_may_be_asked_for_twice_since_an_answer_can_be_lost(
        self, build_given: Build
    ) -> None:
        first = await build_given.says("GET", "job")
        assert await build_given.says("GET", "job") == first

    async def test_another_runner_does_not_get_it_with_the_same_tokens(
        self, build_given: Build
    ) -> None:
        """A message that asks for a runner may be delivered twice."""
        assert (await build_given.says("GET", "job"))[0] == 200
        assert (await build_given.says("GET", "job?runner=second"))[0] == 409
        assert (await build_given.says("GET", "job"))[0] == 200

    async def test_the_source_is_what_was_published(self, build_given: Build) -> None:
        status, body = await build_given.says("GET", "source")
        assert (status, digest_of(body)) == (200, build_given.archive_digest)

    async def test_a_heartbeat_tells_whether_to_stop(self, build_given: Build) -> None:
        assert await build_given.says("POST", "heartbeat") == (200, b'{"stop":false}')
        await build_given.deployer.cancel(build_given.deployment_id)
        assert await build_given.says("POST", "heartbeat") == (200, b'{"stop":true}')

    async def test_who_comes_when_the_attempt_has_ended_is_told_so(
        self, build_given: Build
    ) -> None:
        await build_given.end()
        for method, path in (("GET", "job"), ("POST", "heartbeat"), ("POST", "logs?offset=0")):
            assert (await build_given.says(method, path))[0] == 409
        assert (await build_given.terraform("LOCK", lock("late")))[0] == 409

    async def test_nothing_can_be_read_once_the_data_key_is_destroyed(
        self, build_given: Build
    ) -> None:
        await build_given.terraform("POST", ONE)
        await build_given.deployer.pool.execute("delete from documents where collection='data_key'")
        assert (await build_given.terraform("GET"))[0] == 410
        assert (await build_given.says("GET", "job"))[0] == 410


class TestStates:
    async def test_there_is_none_before_the_first(self, build_given: Build) -> None:
        assert (await build_given.terraform("GET"))[0] == 404

    async def test_the_newest_is_answered_and_every_one_is_kept(self, build_given: Build) -> None:
        for state in (ONE, TWO):
            assert (await build_given.terraform("POST", state))[0] == 200
        assert await build_given.terraform("GET") == (200, TWO)
        assert await build_given.states() == [(1, False), (2, False)]

    async def test_a_large_one_comes_back_whole_and_one_beyond_the_bound_is_refused(
        self, build_given: Build
    ) -> None:
        large = json.dumps({"resources": [], "outputs": {"text": "x" * 5_000_000}}).encode()
        assert (await build_given.terraform("POST", io.BytesIO(large)))[0] == 200
        assert await build_given.terraform("GET") == (200, large)
        beyond = io.BytesIO(bytes(BODY_BYTES_MAX + 1))
        assert (await build_given.terraform("POST", beyond))[0] == 413
        assert await build_given.terraform("GET") == (200, large)

    async def test_one_that_was_deleted_is_gone_but_not_lost(self, build_given: Build) -> None:
        await build_given.terraform("POST", ONE)
        assert (await build_given.terraform("DELETE"))[0] == 200
        assert (await build_given.terraform("GET"))[0] == 404
        assert await build_given.states() == [(1, False), (0, False)]

    @pytest.mark.parametrize(
        "body", [b"", b"not json", b"[]", b"\xff\xfe", b'{"resources": 7}', b"[" * 100_000]
    )
    async def test_what_is_no_state_is_refused_and_not_kept(
        self, build_given: Build, body: bytes
    ) -> None:
        assert (await build_given.terraform("POST", body))[0] == 400
        assert await build_given.states() == []

    async def test_a_stale_attempts_is_kept_as_evidence_and_never_current(
        self, build_given: Build
    ) -> None:
        await build_given.terraform("POST", ONE)
        await build_given.end()
        assert (await build_given.terraform("POST", TWO))[0] == 409
        assert await build_given.states() == [(1, False), (2, True)]
        assert await build_given.terraform("GET") == (200, ONE)


class TestLocks:
    async def test_another_is_told_who_has_the_lock(self, build_given: Build) -> None:
        assert (await build_given.terraform("LOCK", lock("a", who="ada")))[0] == 200
        status, holder = await build_given.terraform("LOCK", lock("b", who="bob"))
        assert (status, json.loads(holder)) == (423, lock("a", who="ada"))

    async def test_to_ask_again_for_ones_own_changes_nothing(self, build_given: Build) -> None:
        for _ in range(2):
            assert (await build_given.terraform("LOCK", lock("a")))[0] == 200
        assert await build_given.deployer.pool.fetchval("select count(*) from state_locks") == 1

    async def test_of_many_who_ask_at_once_one_has_it(self, build_given: Build) -> None:
        answers = await asyncio.gather(
            *(build_given.terraform("LOCK", lock(f"lock-{number}")) for number in range(8))
        )
        assert sorted(status for status, _ in answers) == [200] + [423] * 7

    async def test_it_is_free_after_its_own_unlock_and_no_others(self, build_given: Build) -> None:
        await build_given.terraform("LOCK", lock("a"))
        await build_given.terraform("UNLOCK", lock("b"))
        assert (await build_given.terraform("LOCK", lock("b")))[0] == 423
        await build_given.terraform("UNLOCK", lock("a"))
        assert (await build_given.terraform("LOCK", lock("b")))[0] == 200

    async def test_a_state_that_comes_past_anothers_lock_is_refused(
        self, build_given: Build
    ) -> None:
        await build_given.terraform("LOCK", lock("a"))
        assert (await build_given.terraform("POST", ONE, params={"ID": "b"}))[0] == 423
        assert (await build_given.terraform("POST", ONE, params={"ID": "a"}))[0] == 200
        assert await build_given.states() == [(1, False)]

    async def test_the_end_of_the_build_ends_its_lock(self, build_given: Build) -> None:
        await build_given.terraform("LOCK", lock("a"))
        await build_given.end()
        assert await build_given.deployer.pool.fetchval("select count(*) from state_locks") == 0

    @pytest.mark.parametrize("body", [b"", b"text", b"[]", b"{}", b'{"ID": 7}', b"[" * 100_000])
    async def test_a_lock_without_a_name_is_refused(self, build_given: Build, body: bytes) -> None:
        assert (await build_given.terraform("LOCK", body))[0] == 400

    async def test_what_postgres_cannot_hold_is_replaced(self, build_given: Build) -> None:
        info = b'{"ID": "a\\u0000\\ud800", "Who": "\xff\x00"}'
        assert (await build_given.terraform("LOCK", info))[0] in {200, 400}
