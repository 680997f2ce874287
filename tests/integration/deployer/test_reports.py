"""What a runner prints and reports, over real HTTP: kept once, and made fit to be told."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from services.deployer.builds_api import LOG_PIECE_BYTES_MAX
from tests.integration.deployer.processes import HandledDeployer
from tests.integration.deployer.runner_by_hand import (
    ONE,
    Build,
    claimed_build,
)


@pytest.fixture
def bounds() -> dict[str, Any]:
    """Keep little of logs."""
    return {"log_bytes_max": 65_536}


@pytest_asyncio.fixture
async def build_given(still_deployer: HandledDeployer) -> AsyncIterator[Build]:
    """Give a build that the test is the runner of."""
    async with claimed_build(still_deployer) as build:
        yield build


class TestLogs:
    async def says(self, build: Build, offset: int | str, text: bytes) -> tuple[int, Any]:
        status, body = await build.says("POST", f"logs?offset={offset}", data=io.BytesIO(text))
        return status, json.loads(body).get("end")

    async def test_a_piece_that_comes_again_or_out_of_order_changes_nothing(
        self, build_given: Build
    ) -> None:
        euro = "€uro\n".encode()
        assert await self.says(build_given, 0, b"first\n") == (200, 6)
        assert await self.says(build_given, 0, b"first\n") == (200, 6)
        assert await self.says(build_given, 12, b"third\n") == (200, 6)
        assert await self.says(build_given, 3, b"another\n") == (200, 6)
        assert await self.says(build_given, 6, euro) == (200, 6 + len(euro))
        log = await build_given.deployer.log(build_given.deployment_id)
        assert log == "first\n€uro\n"

    async def test_a_piece_that_comes_many_times_at_once_is_kept_once(
        self, build_given: Build
    ) -> None:
        said = [self.says(build_given, 0, b"once\n") for _ in range(8)]
        assert set(await asyncio.gather(*said)) == {(200, 5)}
        assert await build_given.deployer.log(build_given.deployment_id) == "once\n"

    @pytest.mark.parametrize(
        ("offset", "text"),
        [
            ("", b"x"),
            ("-1", b"x"),
            ("²", b"x"),
            ("0x1", b"x"),
            ("9" * 40, b"x"),
            ("0", b"\xff"),
            ("0", b"x" * (LOG_PIECE_BYTES_MAX + 1)),
        ],
    )
    async def test_what_is_no_piece_of_a_log_is_refused(
        self, build_given: Build, offset: str, text: bytes
    ) -> None:
        assert (await self.says(build_given, offset, text))[0] == 400

    async def test_no_more_than_the_bound_is_kept(self, build_given: Build) -> None:
        assert await self.says(build_given, 0, b"x" * 65_000) == (200, 65_000)
        assert await self.says(build_given, 65_000, b"y" * 1_000) == (200, 65_000)

    async def test_progress_goes_on_when_the_log_is_full(self, build_given: Build) -> None:
        """And no text is lost that comes after it where there is room."""
        pool = build_given.deployer.pool
        assert await self.says(build_given, "0&done=0&planned=3", b"first\n") == (200, 6)
        for done in (1, 2, 2):
            assert await self.says(build_given, f"6&done={done}&planned=3", b"") == (200, 6)
            told = await pool.fetchrow(
                "select text, done, planned, relayed from log_chunks where chunk_offset = 6"
            )
            assert told is not None
            assert tuple(told.values()) == ("", done, 3, False)
        assert await self.says(build_given, "6&done=3&planned=3", b"more\n") == (200, 11)
        assert await self.says(build_given, "11&done=3&planned=3", b"") == (200, 11)
        await build_given.end()
        rows = await pool.fetch("select text, done, final from log_chunks order by chunk_offset")
        assert [tuple(row.values()) for row in rows] == [
            ("first\n", 0, False),
            ("more\n", 3, False),
            ("", 3, True),
        ]

    async def test_what_postgres_cannot_hold_is_replaced_at_the_same_length(
        self, build_given: Build
    ) -> None:
        assert await self.says(build_given, 0, b"a\0b") == (200, 3)
        assert await build_given.deployer.log(build_given.deployment_id) == "a?b"


class TestResults:
    async def told(self, build: Build, **report: Any) -> int:
        status, _ = await build.says("POST", "result", data=json.dumps(report))
        return status

    @pytest.mark.parametrize("ended_by", ["its own report", "the reaper", "another attempt"])
    async def test_a_success_that_comes_when_its_attempt_has_ended_changes_nothing(
        self, build_given: Build, ended_by: str
    ) -> None:
        """What a runner says that was given up: no status, nothing settled, and it is noted."""
        match ended_by:
            case "its own report":
                await self.told(build_given, status="FAILED", code="APPLY_FAILED")
            case "the reaper":
                await build_given.end()
            case _:
                await build_given.is_given_to_another()
        before = await self.recorded(build_given)
        with capture_logs() as logged:
            status = await self.told(build_given, status="SUCCESS")
        assert status == (401 if ended_by == "another attempt" else 409)
        assert await self.recorded(build_given) == before
        [refused] = [line for line in logged if line["event"] == "report.refused"]
        assert refused["build_id"] == build_given.build_id

    async def recorded(self, build: Build) -> list[str]:
        """Return all that the deployer has recorded and published."""
        tables = ("facts", "outbox", "builds", "leases", "resting", "states", "log_chunks")
        rows = "select json_agg(t order by t::text)::text from {} t"
        return [await build.deployer.pool.fetchval(rows.format(table)) for table in tables]

    async def test_the_first_one_counts(self, build_given: Build) -> None:
        assert await self.told(build_given, status="FAILED", code="APPLY_FAILED") == 200
        assert await self.told(build_given, status="SUCCESS") == 409
        facts = await build_given.deployer.facts(build_given.deployment_id)
        assert facts[-1] == "build_failed"
        assert len(facts) == 4

    @pytest.mark.parametrize(
        ("report", "fact", "code"),
        [
            ({"status": "TIMED_OUT"}, "build_timed_out", None),
            ({"status": "CANCELLED"}, "build_failed", "BUILD_FAILED"),
            ({"status": "FAILED", "code": "not a code"}, "build_failed", "BUILD_FAILED"),
            ({"status": "FAILED", "code": "X" * 500}, "build_failed", "BUILD_FAILED"),
            ({"status": "FAILED", "code": "MINE", "message": "a\0b"}, "build_failed", "MINE"),
            ({"status": "FAILED", "code": "MINE", "message": "x" * 50_000}, "build_failed", "MINE"),
        ],
    )
    async def test_what_the_runner_says_becomes_a_fact_that_can_be_told(
        self, build_given: Build, report: dict[str, Any], fact: str, code: str | None
    ) -> None:
        assert await self.told(build_given, **report) == 200
        told = msgspec.json.decode(await build_given.deployer.last_fact(build_given.deployment_id))
        assert (told["fact"], told.get("code")) == (fact, code)

    async def test_who_was_told_to_stop_and_did_is_cancelled(self, build_given: Build) -> None:
        await build_given.deployer.cancel(build_given.deployment_id)
        assert await self.told(build_given, status="CANCELLED", code="CANCELLED") == 200
        facts = await build_given.deployer.facts(build_given.deployment_id)
        assert facts[-1] == "build_cancelled"

    async def test_it_says_whether_there_is_something_left(self, build_given: Build) -> None:
        await build_given.terraform("POST", ONE)
        assert await self.told(build_given, status="FAILED", code="APPLY_FAILED") == 200
        last = await build_given.deployer.last_fact(build_given.deployment_id)
        assert '"owns_resources":true' in last

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"text",
            b"[]",
            b'{"status": "PERFECT"}',
            b'{"status": "SUCCESS", "more": 1}',
            b'{"status": "SUCCESS", "outputs": ' + b"[" * 100_000,
        ],
    )
    async def test_what_is_no_report_is_refused_and_ends_nothing(
        self, build_given: Build, body: bytes
    ) -> None:
        status, _ = await build_given.says("POST", "result", data=body)
        assert status == 400
        facts = await build_given.deployer.facts(build_given.deployment_id)
        assert facts[-1] == "build_started"
