"""Where the deployer is put together; nothing happens at import."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog
from aiohttp import web

from contracts.deployer.v1 import RequestRefused
from runtime.archive import open_archive_store
from runtime.process import Running, Service, StartError
from runtime.restored import Restoring
from runtime.sealing import DataKey
from services.deployer.abandoned import abandon
from services.deployer.builds_api import BuildsApi
from services.deployer.cloud_executor import CloudBuildExecutor
from services.deployer.executor import Executor
from services.deployer.handlers import DeployerHandlers
from services.deployer.isolation import isolation, prepare_work_folder, version_of
from services.deployer.local_executor import LocalExecutor
from services.deployer.log_relay import relay_logs
from services.deployer.metrics import OPEN_BUILDS
from services.deployer.projections.builds import Builds
from services.deployer.publishing import DEPLOYMENT
from services.deployer.reaper import Reaper
from services.deployer.retention import keep_retention
from services.deployer.scheduler import Scheduler
from services.deployer.settings import DeployerSettings
from services.deployer.terraform import find_terraform

SHUTDOWN_SECONDS: Final = 1.0

KINDS: Final = (DEPLOYMENT,)
PROJECTIONS: Final = (Builds(),)
RESTORING: Final = Restoring(abandon=abandon)


def build(settings: DeployerSettings) -> Service:
    """Return the service, composed."""
    woken = asyncio.Event()
    if settings.master_key is None:
        raise StartError("TOLLGATE_MASTER_KEY is not set: it wraps deployments' data keys")
    master_key = DataKey.from_text(settings.master_key.get_secret_value())
    handlers = DeployerHandlers(
        sealing_key=settings.sealing_key.get_secret_value(),
        master_key=master_key,
        wake=woken.set,
    )

    async def run_builds(running: Running) -> None:
        await _run_builds(running, settings, master_key, woken)

    async def retention(running: Running) -> None:
        await keep_retention(running, settings.retention_check_seconds)

    return Service(
        name="deployer",
        kinds=KINDS,
        handlers=handlers,
        projections=PROJECTIONS,
        refused=RequestRefused,
        tasks=(run_builds, retention),
        measures=(OPEN_BUILDS,),
    )


async def _run_builds(
    running: Running, settings: DeployerSettings, master_key: DataKey, woken: asyncio.Event
) -> None:
    """Listen to builds, start them, look after them, relay what they print.

    Only where this is cancelled, which is a stop in good order, are the runners waited for and
    then told to stop, while there is still somebody for them to report to. What fails here ends
    the process as a crash does: its runners go on.
    """
    prepare_work_folder(settings.work_dir)
    logs_woken = asyncio.Event()
    api = BuildsApi(
        running,
        settings,
        archives=open_archive_store(settings.archive_url),
        master_key=master_key,
        wake_logs=logs_woken.set,
    )
    runner = web.AppRunner(api.app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.builds_host, settings.builds_port).start()
        executor, following = await _executor(running, settings, _url(runner, settings))
        scheduler = Scheduler(running, settings, executor, woken)
        reaper = Reaper(running, settings, executor, scheduler, master_key)
        tending = asyncio.create_task(
            _together(scheduler.run(), relay_logs(running, logs_woken), reaper.run(), *following)
        )
        try:
            await asyncio.shield(tending)
        except asyncio.CancelledError:
            # No build is begun any more, and those that run are looked after until they end.
            if not settings.builds_outlive_stop:
                await executor.finish(settings.builds_finish_seconds)
            await executor.stop()
            raise
        finally:
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
    finally:
        await runner.cleanup()


async def _together(*tasks: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(task)


async def _executor(
    running: Running, settings: DeployerSettings, url: str
) -> tuple[Executor, tuple[Coroutine[Any, Any, None], ...]]:
    """Return what runs builds, having said how it will, and what must run for it to do so."""
    if settings.executor == "local":
        return await _local_executor(settings, url), ()
    # Google's clients take 40 MiB of memory: only who uses them loads them.
    from services.deployer.cloud_build import CloudBuild, Place

    place = Place(
        project=settings.google_project or "",
        region=settings.cloud_build_region,
        topic=settings.cloud_build_topic,
        subscription=settings.cloud_build_subscription,
        api_url=settings.cloud_build_url,
    )
    executor = CloudBuildExecutor(running, settings, await asyncio.to_thread(CloudBuild, place))
    structlog.get_logger().info("builds.in_cloud_build", project=place.project, topic=place.topic)
    return executor, (executor.follow(),)


async def _local_executor(settings: DeployerSettings, url: str) -> LocalExecutor:
    log = structlog.get_logger()
    program = find_terraform(settings.terraform)
    if program is None:
        log.warning("terraform.not_found", consequence="every build will fail and say so")
    else:
        log.info(
            "terraform.found", program=program, version=await asyncio.to_thread(version_of, program)
        )
    found = await asyncio.to_thread(isolation, settings.work_dir, settings.first_build_uid, program)
    how = {"in_room": found.in_room, "first_build_uid": found.first_build_uid}
    if found.in_room:
        log.info("builds.isolated", **how)
    elif settings.allow_unisolated_builds:
        consequence = f"builds {found.consequence}: for development only"
        log.warning("builds.not_isolated", consequence=consequence, **how)
    else:
        consequence = f"every build will fail and say so, since it would {found.consequence}"
        log.warning("builds.not_isolated", consequence=consequence, **how)
    return LocalExecutor(settings, url, found)


def _url(runner: web.AppRunner, settings: DeployerSettings) -> str:
    """Return where builds on this machine reach us, with the port that was really taken."""
    port = runner.addresses[0][1]
    everywhere = settings.builds_host in {"0.0.0.0", "::"}  # noqa: S104 - asked, not bound
    return f"http://{'127.0.0.1' if everywhere else settings.builds_host}:{port}"
