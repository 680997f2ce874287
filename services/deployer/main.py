"""Where the deployer is put together; nothing happens at import."""

import asyncio

import structlog
from aiohttp import web

from contracts.deployer.v1 import RequestRefused
from runtime.archive import open_archive_store
from runtime.process import Running, Service
from runtime.sealing import DataKey
from services.deployer.builds_api import BuildsApi
from services.deployer.handlers import DeployerHandlers
from services.deployer.local_executor import LocalExecutor, stop_runners
from services.deployer.log_relay import relay_logs
from services.deployer.projections.builds import Builds
from services.deployer.publishing import DEPLOYMENT
from services.deployer.scheduler import Scheduler, reap
from services.deployer.settings import DeployerSettings
from services.deployer.terraform import find_terraform


def build(settings: DeployerSettings) -> Service:
    """Return the service, composed."""
    woken = asyncio.Event()
    if settings.master_key is None:
        raise ValueError("TOLLGATE_MASTER_KEY is needed: it wraps deployments' data keys")
    master_key = DataKey.from_text(settings.master_key.get_secret_value())
    handlers = DeployerHandlers(
        sealing_key=settings.sealing_key.get_secret_value(),
        master_key=master_key,
        wake=woken.set,
    )

    async def run_builds(running: Running) -> None:
        await _run_builds(running, settings, master_key, woken)

    return Service(
        name="deployer",
        kinds=(DEPLOYMENT,),
        handlers=handlers,
        projections=(Builds(),),
        refused=RequestRefused,
        tasks=(run_builds,),
    )


async def _run_builds(
    running: Running, settings: DeployerSettings, master_key: DataKey, woken: asyncio.Event
) -> None:
    """Listen to builds, start them, relay what they print; when stopping, end the runners first."""
    logs_woken = asyncio.Event()
    api = BuildsApi(
        running,
        settings,
        archives=open_archive_store(settings.archive_url),
        master_key=master_key,
        wake_logs=logs_woken.set,
    )
    runner = web.AppRunner(api.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, settings.builds_host, settings.builds_port)
    await site.start()
    executor = LocalExecutor(settings, _url(runner, settings))
    _say_what_runs_builds(settings)
    scheduler = Scheduler(running, settings, executor, woken)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(scheduler.run())
            group.create_task(relay_logs(running, logs_woken))
            group.create_task(reap(running, settings.lost_after_seconds))
            group.create_task(executor.collect())
    finally:
        await stop_runners(running, settings.drain_seconds * 0.7)
        await runner.cleanup()


def _url(runner: web.AppRunner, settings: DeployerSettings) -> str:
    """Return where builds reach us, with the port that was really taken."""
    port = runner.addresses[0][1]
    return f"http://{settings.builds_host}:{port}"


def _say_what_runs_builds(settings: DeployerSettings) -> None:
    log = structlog.get_logger()
    program = find_terraform(settings.terraform)
    if program is None:
        log.warning("terraform.not_found", consequence="every build will fail and say so")
    else:
        log.info("terraform.found", program=program)
    if settings.allow_unisolated_builds:
        log.warning("builds.not_isolated", consequence="for development only")
