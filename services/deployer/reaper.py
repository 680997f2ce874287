"""Ends builds that would not end by themselves: nothing stays `PROVISIONING` for ever.

A runner that nobody hears of is declared lost only after it must have stopped by itself, and on
this machine it is killed first, with all that it started. So when a build is declared dead, no
Terraform of it runs any more.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import structlog

from runtime.clock import monotonic_seconds
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from runtime.sealing import DataKey
from services.deployer import commands, states
from services.deployer.executor import Executor
from services.deployer.handlers import ACTOR, EndBuild
from services.deployer.keys import KeyErasedError, data_key
from services.deployer.scheduler import Scheduler
from services.deployer.settings import DeployerSettings
from services.deployer.terraform import resources_in
from services.deployer.traces import in_trace_of

ROUND_SECONDS: Final = 1.0
ROUND_MAX: Final = 256
SWEEP_ROUNDS: Final = 10
ATTEMPTS_MAX: Final = 3
MAY_LACK_RESOURCES: Final = (
    "Terraform was ended with it, and may have made what no state has: compare the log's end with "
    "what there is, and remove by hand what is too much."
)


class Reaper:
    """Looks after running builds, once a second."""

    def __init__(
        self,
        running: Running,
        settings: DeployerSettings,
        executor: Executor,
        scheduler: Scheduler,
        master_key: DataKey,
    ) -> None:
        self._running = running
        self._settings = settings
        self._executor = executor
        self._scheduler = scheduler
        self._master_key = master_key
        self._listening_since = running.clock.now()
        self._died_at: dict[tuple[str, int], float] = {}

    async def run(self) -> None:
        """Look after builds, for ever."""
        beat = self._running.liveness.beat("reaper")
        round_number = 0
        while True:
            beat()
            try:
                await self._look()
                if round_number % SWEEP_ROUNDS == 0:
                    await self._sweep()
            except (*OUTAGES, UnavailableError) as error:
                # Nobody could be heard meanwhile: silence counts from now.
                self._listening_since = self._running.clock.now()
                structlog.get_logger().warning("reaper.postponed", error=repr(error))
            round_number += 1
            await asyncio.sleep(ROUND_SECONDS)

    async def _look(self) -> None:
        rows = await self._running.pool.fetch(
            """select l.build_id, l.deployment_id, l.attempt, l.given_at, l.taken_at,
                      l.heartbeat_at, b.archive_folder, b.started_at, b.cancel_requested
               from leases l join builds b using (build_id)
               where b.status = 'RUNNING' and l.attempt = b.attempt
               order by l.heartbeat_at limit $1""",
            ROUND_MAX,
        )
        here = {(row["build_id"], row["attempt"]) for row in rows}
        self._died_at = {place: at for place, at in self._died_at.items() if place in here}
        for row in rows:
            try:
                await self._look_after(row)
            except Refusal as refusal:
                structlog.get_logger().info("build.went_on", detail=refusal.detail)

    async def _look_after(self, row: asyncpg.Record) -> None:
        """End this build, or begin it anew, if it is time to."""
        settings, now = self._settings, self._running.clock.now()
        if row["taken_at"] is None:
            await self._look_after_untaken(row, now)
            return
        silent_since = max(row["heartbeat_at"], self._listening_since)
        limit = settings.build_seconds_max
        if now - silent_since > timedelta(seconds=settings.lost_after_seconds):
            silence = f"nothing was heard of the runner for {settings.lost_after_seconds:g} s"
            await self._end(row, _lost(silence))
        elif now - row["started_at"] > timedelta(seconds=limit + settings.lost_after_seconds):
            await self._end(row, commands.TimeOut(limit_seconds=limit))
        elif await self._has_died(row):
            await self._end(row, _lost("the runner died"))

    async def _look_after_untaken(self, row: asyncpg.Record, now: datetime) -> None:
        """Begin anew what no runner came for: nothing has been done yet, whatever became of it."""
        died = await self._executor.has_died(row["build_id"], row["attempt"])
        if not died and now - row["given_at"] < timedelta(seconds=self._executor.take_seconds_max):
            return
        if row["cancel_requested"]:
            await self._end(row, commands.Stopped())
        elif row["attempt"] >= ATTEMPTS_MAX:
            await self._end(row, _lost(f"{ATTEMPTS_MAX} runners were started, and none came"))
        else:
            await self._executor.end(row["build_id"], row["attempt"])
            log = structlog.get_logger()
            log.warning("build.begun_anew", build_id=row["build_id"], attempt=row["attempt"] + 1)
            place = (row["deployment_id"], row["build_id"], row["attempt"])
            async with in_trace_of(self._running, row["deployment_id"]):
                await self._scheduler.start_again(*place)

    async def _has_died(self, row: asyncpg.Record) -> bool:
        """Return whether the runner is dead, and its Terraform has ended or had time enough to."""
        place = (row["build_id"], row["attempt"])
        if not await self._executor.has_died(*place):
            return False
        died_at = self._died_at.setdefault(place, monotonic_seconds())
        waited = monotonic_seconds() - died_at
        return waited > self._settings.stop_grace_seconds or not await self._executor.has_terraform(
            *place
        )

    async def _end(self, row: asyncpg.Record, ending: commands.Ending) -> None:
        """Kill what there is of the build, save its state, and end it."""
        build_id, attempt, deployment_id = row["build_id"], row["attempt"], row["deployment_id"]
        await self._executor.end(build_id, attempt)
        were_left = await self._save_states(row)
        standing = await states.standing(self._running.pool, deployment_id, build_id)
        # A state that was left was written by a Terraform that ended in good order.
        if (
            isinstance(ending, commands.Fail)
            and not were_left
            and await states.may_lack_resources(self._running.pool, deployment_id, build_id)
        ):
            ending = replace(ending, message=f"{ending.message}. {MAY_LACK_RESOURCES}")
        end = commands.End(build_id=build_id, attempt=attempt, ending=ending, **standing)
        async with in_trace_of(self._running, deployment_id):
            command = EndBuild(actor=ACTOR, deployment_id=deployment_id, end=end)
            await self._running.processor.execute(command)
        structlog.get_logger().warning("build.reaped", build_id=build_id, ending=repr(ending))

    async def _save_states(self, row: asyncpg.Record) -> bool:
        """Keep the states that nobody took while there was somebody to hand them over.

        Return whether there were any.
        """
        found = await self._executor.unsaved_states(
            row["build_id"], row["attempt"], row["archive_folder"]
        )
        if not found:
            return False
        pool, deployment_id = self._running.pool, row["deployment_id"]
        try:
            key = await data_key(pool, self._master_key, deployment_id)
        except KeyErasedError as error:
            structlog.get_logger().error("state.not_kept", reason=str(error))  # noqa: TRY400 - no bug
            return True
        for state in found:
            await states.keep_state(
                pool,
                deployment_id=deployment_id,
                build_id=row["build_id"],
                attempt=row["attempt"],
                body=await asyncio.to_thread(key.encrypt, state),
                resources=resources_in(state),
                at=self._running.clock.now(),
            )
        return True

    async def _sweep(self) -> None:
        """Clear away what is left of attempts that have ended, whatever ended them.

        What is left is asked first: an attempt that begins meanwhile is not among it.
        """
        left = await self._executor.attempts()
        if not left:
            return
        rows: list[Any] = await self._running.pool.fetch(
            """select build_id, attempt from builds
               where status = 'RUNNING' and build_id = any($1::text[])""",
            [build_id for build_id, _ in left],
        )
        for attempt in left - {(row["build_id"], row["attempt"]) for row in rows}:
            await self._executor.clear(*attempt)


def _lost(message: str) -> commands.Fail:
    return commands.Fail(code="RUNNER_LOST", message=message, platform_fault=True)
