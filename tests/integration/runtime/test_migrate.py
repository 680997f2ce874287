"""Which schemas a release runs on: its own, and a newer one that only expands."""

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from runtime.migrate import MigrationError, check_schema, migrate
from tests.integration.runtime.conftest import CounterDatabase
from tests.support import counter

OURS = Path(__file__).parents[2] / "support" / "counter" / "migrations"


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what makes a later release: the counter's migrations and these after them."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(*texts: str) -> str:
        package = tmp_path / f"release_{secrets.token_hex(4)}"
        folder = package / "migrations"
        folder.mkdir(parents=True)
        (package / "__init__.py").touch()
        known = sorted(OURS.glob("*.sql"))
        for path in known:
            (folder / path.name).write_text(path.read_text())
        for number, text in enumerate(texts, start=len(known) + 1):
            (folder / f"{number:04d}_later.sql").write_text(text)
        return package.name

    return make


@pytest_asyncio.fixture
async def connection(real_database: CounterDatabase) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(real_database.dsn)
    yield opened
    await opened.close()


EXPANDS = "-- expands\nalter table totals add column noted text;"
BREAKS = "alter table totals rename column total to sum;"


async def test_the_release_before_runs_on_a_schema_that_only_expands(
    real_database: CounterDatabase,
    connection: asyncpg.Connection,
    release: Callable[..., str],
) -> None:
    newer = release(EXPANDS)
    assert await migrate(real_database.admin_dsn, "counter", package=newer) == [
        "counter/0002_later"
    ]

    assert await check_schema(connection, "counter", counter.PACKAGE) is None
    assert await migrate(real_database.admin_dsn, "counter", package=counter.PACKAGE) == []
    assert await check_schema(connection, "counter", newer) is None


async def test_a_release_is_refused_by_a_schema_that_it_cannot_run_on(
    real_database: CounterDatabase,
    connection: asyncpg.Connection,
    release: Callable[..., str],
) -> None:
    await migrate(real_database.admin_dsn, "counter", package=release(EXPANDS, BREAKS))

    problem = await check_schema(connection, "counter", counter.PACKAGE)

    assert problem is not None
    assert "newer release: it has counter/0003" in problem
    with pytest.raises(MigrationError, match="newer release"):
        await migrate(real_database.admin_dsn, "counter", package=counter.PACKAGE)


async def test_a_schema_that_is_behind_is_told_by_what_it_lacks(
    connection: asyncpg.Connection, release: Callable[..., str]
) -> None:
    problem = await check_schema(connection, "counter", release(EXPANDS))
    assert problem == "not migrated: counter/0002_later"


async def test_a_migration_that_was_changed_afterwards_is_refused(
    real_database: CounterDatabase,
    connection: asyncpg.Connection,
    release: Callable[..., str],
) -> None:
    await migrate(real_database.admin_dsn, "counter", package=release(EXPANDS))
    problem = await check_schema(connection, "counter", release(f"{EXPANDS} -- changed"))
    assert problem == "counter/0002_later was changed after it was applied"
