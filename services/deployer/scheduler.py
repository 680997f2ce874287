"""Gives queued builds to runners, within bounds and fairly."""

import asyncio
from datetime import datetime
from typing import Final

import structlog

from contracts.queue_rules import Waiting, choose
from runtime.ids import new_secret
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from services.deployer import commands, states
from services.deployer.builds import LeaseTokens
from services.deployer.executor import Executor, ExecutorError
from services.deployer.handlers import ACTOR, ClaimBuild, EndBuild, ReassignBuild
from services.deployer.metrics import BUILD_WAIT_SECONDS
from services.deployer.settings import DeployerSettings
from services.deployer.traces import in_trace_of

POLL_SECONDS: Final = 0.5


class Scheduler:
    """Starts what may start; `woken` says that something may."""

    def __init__(
        self,
        running: Running,
        settings: DeployerSettings,
        executor: Executor,
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
                await self._start_builds()
            except (*OUTAGES, UnavailableError) as error:
                structlog.get_logger().warning("scheduler.postponed", error=repr(error))
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _start_builds(self) -> None:
        """Start what may start now.

        Of each user only as many builds are read as there are slots: a thousand of one person's
        cannot hide another's one.
        """
        rows = await self._running.pool.fetch("select user_id from builds where status = 'RUNNING'")
        slots = self._settings.concurrent_builds_max - len(rows)
        if slots <= 0 or self._running.stopping.is_set():
            return
        queued = await self._running.pool.fetch(
            """select build_id, deployment_id, user_id, queued_at from (
                   select *, row_number() over (
                       partition by user_id order by queued_at, build_id) as place
                   from builds where status = 'QUEUED') as of_each
               where place <= $1""",
            slots,
        )
        waiting = [Waiting(**dict(row)) for row in queued]
        served = await self._served({build.user_id for build in waiting})
        for build in choose(waiting, (row["user_id"] for row in rows), served, slots):
            async with in_trace_of(self._running, build.deployment_id):
                await self._start(build)

    async def _served(self, users: set[str]) -> dict[str, datetime]:
        """Return when a build of each of these users was last started, if ever."""
        rows = await self._running.pool.fetch(
            """select asked.user_id, latest.started_at
               from unnest($1::text[]) as asked (user_id)
               cross join lateral (
                   select started_at from builds b
                   where b.user_id = asked.user_id and started_at is not null
                   order by started_at desc limit 1) as latest""",
            list(users),
        )
        return {row["user_id"]: row["started_at"] for row in rows}

    async def _start(self, build: Waiting) -> None:
        """Claim the build, then start its runner: only who claimed it ever starts one."""
        tokens = _new_tokens()
        claim = ClaimBuild(
            actor=ACTOR,
            deployment_id=build.deployment_id,
            build_id=build.build_id,
            executor=self._executor.name,
            tokens=tokens,
        )
        try:
            await self._running.processor.execute(claim)
        except Refusal as refusal:
            structlog.get_logger().info("build.claimed_elsewhere", detail=refusal.detail)
            return
        waited = self._running.clock.now() - build.queued_at
        BUILD_WAIT_SECONDS.observe(max(0.0, waited.total_seconds()))
        await self._spawn(build.deployment_id, build.build_id, 1, tokens)

    async def start_again(self, deployment_id: str, build_id: str, attempt: int) -> None:
        """Give a build to another runner, since the one of this attempt never came for it.

        Raises `Refusal` where it has come after all, or the build is to be cancelled.
        """
        tokens = _new_tokens()
        reassign = ReassignBuild(
            actor=ACTOR,
            deployment_id=deployment_id,
            build_id=build_id,
            attempt=attempt,
            tokens=tokens,
        )
        await self._running.processor.execute(reassign)
        await self._spawn(deployment_id, build_id, attempt + 1, tokens)

    async def _spawn(
        self, deployment_id: str, build_id: str, attempt: int, tokens: LeaseTokens
    ) -> None:
        """Start the runner; where none can be started the build fails at once, by no own fault."""
        try:
            await self._executor.start(build_id, attempt, tokens)
        except ExecutorError as error:
            failure = commands.Fail(code=error.code, message=str(error), platform_fault=True)
            standing = await states.standing(self._running.pool, deployment_id, build_id)
            end = commands.End(build_id=build_id, attempt=attempt, ending=failure, **standing)
            command = EndBuild(actor=ACTOR, deployment_id=deployment_id, end=end)
            await self._running.processor.execute(command)


def _new_tokens() -> LeaseTokens:
    return LeaseTokens(runner=new_secret(), terraform=new_secret())
