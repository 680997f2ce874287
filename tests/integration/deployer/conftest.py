"""Deployers on real databases, with runners and Terraform."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from devkit.ports import free_port
from runtime.sealing import generate_sealing_key
from services.deployer.settings import DeployerSettings
from tests.integration.deployer.modules import SIGNS
from tests.integration.deployer.processes import DeployerProcess, HandledDeployer
from tests.support.environment import PASSWORD, Database, RunningNats

SETTINGS_AND_KEY = tuple[DeployerSettings, str, asyncpg.Pool]


@pytest.fixture
def bounds() -> dict[str, Any]:
    """Give the bounds of leases; a test may shorten them."""
    return {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder that the deployer works in."""
    return tmp_path


@pytest_asyncio.fixture
async def parts(
    database_for: Callable[[str], Awaitable[Database]], folder: Path, bounds: dict[str, Any]
) -> AsyncIterator[SETTINGS_AND_KEY]:
    """Give settings of a deployer with a database of its own, its public key, and a pool."""
    database = await database_for("deployer")
    private, public = generate_sealing_key()
    (folder / "archive").mkdir()
    (folder / SIGNS).mkdir()
    values: dict[str, Any] = {
        "postgres_dsn": database.dsn,
        "nats_user": "deployer",
        "nats_password": PASSWORD,
        "nats_url": "nats://127.0.0.1:1",
        "master_key": "A" * 43,
        "sealing_key": private,
        "archive_url": (folder / "archive").as_uri(),
        "work_dir": folder / "work",
        "builds_port": free_port(),
        "build_readable_paths": (folder / SIGNS,),
        "allow_unisolated_builds": True,
    }
    settings = DeployerSettings(**(values | bounds))
    async with asyncpg.create_pool(database.dsn, min_size=1, max_size=3) as pool:
        yield settings, public, pool


@pytest_asyncio.fixture
async def still_deployer(parts: SETTINGS_AND_KEY) -> HandledDeployer:
    """Give a deployer in this process that the test starts itself."""
    return HandledDeployer(*parts)


@pytest_asyncio.fixture
async def deployer(still_deployer: HandledDeployer) -> AsyncIterator[HandledDeployer]:
    """Give a running deployer in this process."""
    async with still_deployer.process():
        yield still_deployer


@pytest_asyncio.fixture
async def deployer_process(
    bus: RunningNats, parts: SETTINGS_AND_KEY, folder: Path
) -> DeployerProcess:
    """Give a deployer that the test starts as a process of its own."""
    settings, public, pool = parts
    settings = settings.model_copy(update={"nats_url": bus.url})
    return DeployerProcess(settings, public, pool, bus=bus, folder=folder)
