"""Gives queued builds to runners, within bounds, and declares dead what nobody hears of."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from runtime.ids import new_secret
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from services.deployer import decider
from services.deployer.builds import owns_resources
from services.deployer.handlers import ACTOR, ClaimBuild, EndBuild
from services.deployer.local_executor import ExecutorError, LocalExecutor
from services.deployer.scheduling import Waiting, choose
from services.deployer.settings import DeployerSettings

POLL_SECONDS: Final = 0.5
QUEUE_READ_MAX: Final = 1_000
REAP_SECONDS: Final = 1.0
REAP_MAX: Final = 100


class Scheduler:
    """Starts what may start; `wake` says that something may."""

    def __init__(
        self,
        running: Running,
        settings: DeployerSettings,
        executor: LocalExecutor,
        woken: asyncio.Event,
    ) -> None:
        self._running = running
        self._settings = settings
        self._executor = executor
        self._woken = woken

    async def run(self) -> None:
        """Start builds as they come, for ever."""
        beat = self._running.liveness.beat("scheduler")
        while True:
            beat()
            self._woken.clear()
            try:
                await self.start_builds()
            except (*OUTAGES, UnavailableError) as error:
                structlog.get_logger().warning("scheduler.postponed", error=repr(error))
            await _until(self._woken)

    async def start_builds(self) -> int:
        """Start what may start now; return how many builds that was."""
        rows = await self._running.pool.fetch("select user_id from builds where status = 'RUNNING'")
        slots = self._settings.concurrent_builds_max - len(rows)
        if slots <= 0 or self._running.stopping.is_set():
            return 0
        queued = await self._running.pool.fetch(
            """select build_id, deployment_id, user_id, queued_at from builds
               where status = 'QUEUED' order by queued_at limit $1""",
            QUEUE_READ_MAX,
        )
        chosen = choose(
            (Waiting(**dict(row)) for row in queued), (row["user_id"] for row in rows), slots
        )
        for build in chosen:
            await self._start(build)
        return len(chosen)

    async def _start(self, build: Waiting) -> None:
        """Claim the build, then start its runner: only who claimed it ever starts one."""
        token = new_secret()
        claim = ClaimBuild(
            actor=ACTOR,
            deployment_id=build.deployment_id,
            build_id=build.build_id,
            executor=self._executor.name,
            token=token,
        )
        try:
            await self._running.processor.execute(claim)
        except Refusal as refusal:
            structlog.get_logger().info("build.claimed_elsewhere", detail=refusal.detail)
            return
        try:
            process_id = self._executor.start(build.build_id, token)
        except ExecutorError as error:
            await self._fail(build, error.code, str(error))
            return
        await self._running.pool.execute(
            "update leases set process_id = $2 where build_id = $1", build.build_id, process_id
        )

    async def _fail(self, build: Waiting, code: str, message: str) -> None:
        failure = decider.Fail(code=code, message=message, platform_fault=True)
        end = decider.End(build_id=build.build_id, attempt=1, ending=failure, owns_resources=False)
        command = EndBuild(actor=ACTOR, deployment_id=build.deployment_id, end=end)
        await self._running.processor.execute(command)


async def reap(running: Running, lost_after_seconds: float) -> None:
    """End builds that nobody has heard of for too long, for ever.

    By then a runner that could not report has stopped itself, so no Terraform runs any more.
    """
    beat = running.liveness.beat("reaper")
    while True:
        await asyncio.sleep(REAP_SECONDS)
        beat()
        try:
            await reap_once(running, lost_after_seconds)
        except (*OUTAGES, UnavailableError) as error:
            structlog.get_logger().warning("reaper.postponed", error=repr(error))


async def reap_once(running: Running, lost_after_seconds: float) -> int:
    """End those builds now; return how many there were."""
    lost = await running.pool.fetch(
        """select l.build_id, l.deployment_id, l.attempt
           from leases l join builds b using (build_id)
           where b.status = 'RUNNING' and l.heartbeat_at < $1 limit $2""",
        running.clock.now() - timedelta(seconds=lost_after_seconds),
        REAP_MAX,
    )
    for row in lost:
        message = f"nothing was heard of the runner for {lost_after_seconds:g} s"
        end = decider.End(
            build_id=row["build_id"],
            attempt=row["attempt"],
            ending=decider.Fail(code="RUNNER_LOST", message=message, platform_fault=True),
            owns_resources=await owns_resources(running.pool, row["deployment_id"]),
        )
        command = EndBuild(actor=ACTOR, deployment_id=row["deployment_id"], end=end)
        try:
            await running.processor.execute(command)
        except Refusal as refusal:
            structlog.get_logger().info("build.ended_meanwhile", detail=refusal.detail)
    return len(lost)


async def _until(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SECONDS):
            await event.wait()
    except TimeoutError:
        return
