"""Runs builds in Google Cloud Build: asked for by Pub/Sub, followed by its notifications.

The runner there is the same as here, and tells everything that matters by itself. What Cloud Build
notifies is needed for the rest: that a build ended whose runner never came, or told nothing. Where
nothing is heard for a while it is asked. So builds outlive the deployer, and its upgrades.

The message says where the source lies, by digest, and where the variables are, but not the
variables; and the order with its tokens only sealed, for the runner's own key: who may look at
Cloud Build's builds may not speak for them.
"""

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from typing_extensions import override

from runtime.process import Running
from runtime.processor import OUTAGES as DATABASE_OUTAGES
from runtime.sealing import seal
from services.deployer import cloud_builds
from services.deployer.builds import LeaseTokens
from services.deployer.cloud_builds import Attempt
from services.deployer.executor import Executor, ExecutorError
from services.deployer.runner.job import Order
from services.deployer.settings import DeployerSettings

if TYPE_CHECKING:
    from services.deployer.cloud_build import CloudBuild, Notification

BUILD_ID: Final = "_BUILD_ID"
ATTEMPT: Final = "_ATTEMPT"
"""The trigger's substitutions by which a notification is known for one of ours."""

RUNNER_FOLDER: Final = "tollgate"
"""In the folder that a step of Cloud Build begins in."""

RETRY_SECONDS: Final = 2.0
ASKED_AT_ONCE_MAX: Final = 50
HEARTBEATS_MISSED: Final = 5
_NUMBER: Final = re.compile("[0-9]{1,9}")


class CloudBuildExecutor(Executor):
    """Asks Cloud Build for runners, and knows what has become of them."""

    name: Final = "cloud_build"

    def __init__(self, running: Running, settings: DeployerSettings, cloud: "CloudBuild") -> None:
        from services.deployer.cloud_build import OUTAGES, CloudBuildError

        if settings.builds_url is None or settings.runner_public_key is None:
            raise ValueError("builds_url and runner_public_key are needed for cloud_build")
        self._running = running
        self._settings = settings
        self._cloud = cloud
        self._builds_url = settings.builds_url.rstrip("/")
        self._runner_key = settings.runner_public_key
        self._away = (*OUTAGES, CloudBuildError)

    @property
    @override
    def take_seconds_max(self) -> float:
        """How long a build may stand in Cloud Build's own queue before its runner comes."""
        return self._settings.cloud_build_queue_seconds_max

    @override
    async def start(self, build_id: str, attempt: int, tokens: LeaseTokens) -> None:
        """Have a runner started for an attempt; `ExecutorError` where Pub/Sub did not take it."""
        message = await self._message(build_id, attempt, tokens)
        now = self._running.clock.now()
        await cloud_builds.ask(self._running.pool, Attempt(build_id, attempt), now)
        try:
            await self._cloud.ask_for(message)
        except self._away as error:
            what = f"Cloud Build could not be asked: {type(error).__name__}"
            raise ExecutorError("CLOUD_BUILD_UNREACHABLE", what) from error

    async def _message(self, build_id: str, attempt: int, tokens: LeaseTokens) -> dict[str, str]:
        row = await self._running.pool.fetchrow(
            "select archive_digest, repository, commit from builds where build_id = $1", build_id
        )
        if row is None:
            raise ExecutorError("BUILD_UNKNOWN", f"there is no build {build_id}")
        url = f"{self._builds_url}/builds/{build_id}"
        order = Order(
            url=url,
            token=tokens.runner,
            terraform_token=tokens.terraform,
            folder=RUNNER_FOLDER,
            uid=self._settings.first_build_uid,
            interruption_seconds_max=self._settings.stop_grace_seconds,
        )
        return {
            "buildId": build_id,
            "attempt": str(attempt),
            "repoUrl": row["repository"],
            "commit": row["commit"],
            "sourceUrl": f"{url}/source",
            "sourceDigest": row["archive_digest"],
            "variables": f"{url}/job",
            "order": seal(msgspec.json.encode(order), self._runner_key),
        }

    # What has become of them.

    @override
    async def has_died(self, build_id: str, attempt: int) -> bool:
        """Return whether Cloud Build has ended all it made of the attempt, and nothing is heard."""
        silence = timedelta(seconds=HEARTBEATS_MISSED * self._settings.heartbeat_seconds)
        now = self._running.clock.now()
        return await cloud_builds.has_ended(
            self._running.pool, Attempt(build_id, attempt), now=now, silence=silence
        )

    @override
    async def has_terraform(self, build_id: str, attempt: int) -> bool:
        """Return that nothing works: what Cloud Build has ended is gone, machine and all."""
        return False

    @override
    async def end(self, build_id: str, attempt: int) -> None:
        """Cancel what goes on; where that fails, its runner stops by itself, being unheard."""
        for cloud_build_id in await cloud_builds.going_on(
            self._running.pool, Attempt(build_id, attempt)
        ):
            try:
                await self._cloud.cancel(cloud_build_id)
            except self._away as error:
                structlog.get_logger().warning(
                    "cloud_build.not_cancelled", build_id=build_id, error=repr(error)
                )

    @override
    async def unsaved_states(self, build_id: str, attempt: int, archive_folder: str) -> list[bytes]:
        """Return nothing: a runner there hands its state over itself, or takes it along."""
        return []

    @override
    async def attempts(self) -> set[tuple[str, int]]:
        """Return the attempts that Cloud Build was asked for."""
        known = await cloud_builds.all_asked_for(self._running.pool)
        return {(attempt.build_id, attempt.attempt) for attempt in known}

    @override
    async def clear(self, build_id: str, attempt: int) -> None:
        """Forget an attempt that has ended."""
        await cloud_builds.forget(self._running.pool, Attempt(build_id, attempt))

    @override
    async def finish(self, seconds_max: float) -> None:
        """Wait for nothing: none of them lives and dies with this process."""

    @override
    async def stop(self) -> None:
        """Leave them running: they report to whichever deployer is there."""

    # Following them.

    async def follow(self) -> None:
        """Take notifications as they come, for ever, and ask where there are none."""
        beat = self._running.liveness.beat("cloud_build")
        log = structlog.get_logger()
        while True:
            beat()
            try:
                await self._hear()
                await self._ask_about_the_silent()
            except self._away as error:
                log.warning("cloud_build.unreachable", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
            except DATABASE_OUTAGES as error:
                log.warning("cloud_build.postponed", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self) -> None:
        """Note what is notified, then acknowledge it: what was not noted comes again."""
        heard = await self._cloud.heard()
        for _, told in heard:
            if told is None:
                structlog.get_logger().warning("cloud_build.unreadable_notification")
            else:
                await self._note(told)
        if heard:
            await self._cloud.acknowledge([ack_id for ack_id, _ in heard])

    async def _ask_about_the_silent(self) -> None:
        silence = timedelta(seconds=self._settings.cloud_build_silence_seconds_max)
        for attempt in await cloud_builds.silent(
            self._running.pool,
            before=self._running.clock.now() - silence,
            limit=ASKED_AT_ONCE_MAX,
        ):
            found = await self._cloud.find(
                {BUILD_ID: attempt.build_id, ATTEMPT: str(attempt.attempt)}
            )
            for told in found:
                await self._note(told)
            await cloud_builds.ask(self._running.pool, attempt, self._running.clock.now())

    async def _note(self, told: "Notification") -> None:
        """Believe it, where it is about one of ours; a project's other builds are not."""
        build_id, attempt = told.substitutions.get(BUILD_ID), told.substitutions.get(ATTEMPT, "")
        if build_id is None or _NUMBER.fullmatch(attempt) is None:
            return
        await cloud_builds.note(
            self._running.pool,
            Attempt(build_id, int(attempt)),
            cloud_build_id=told.cloud_build_id,
            status=told.status,
            at=self._running.clock.now(),
        )
