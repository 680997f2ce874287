"""The background work of the catalogue: syncs, one of a scope at a time, until each has ended.

A sync that waits, or whose process died, is found in the read model and begun (again); after
`ATTEMPTS_MAX` attempts it is failed. A lock of the database's, which ends with the
connection, keeps two replicas from doing the same work; that only the present attempt can end a
sync, the decider sees to.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

import asyncpg
import msgspec
import structlog

from runtime.archive import ArchiveError, ArchiveStore, open_archive_store
from runtime.ids import new_id
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from runtime.spans import within
from runtime.work import Command
from services.catalog.events import Content, SyncStarted
from services.catalog.git_source import (
    GitLimits,
    GitMissingError,
    RepositoryError,
    fetch,
    newest_commit,
)
from services.catalog.handlers import (
    TOKENS,
    TRACES,
    BeginSync,
    ConcludeSync,
    FailSync,
    KeptTrace,
    SealedToken,
)
from services.catalog.last_readings import LastReadings
from services.catalog.projections.modules import ModuleRow, modules_of_scope
from services.catalog.projections.syncs import WaitingSync, first_unfinished_syncs
from services.catalog.reading import ReadingLimits, Result, read_modules
from services.catalog.reading_messages import Found, KnownModule, NoModule, Refused, Same
from services.catalog.repository_address import LocalAddress, read_address, read_branch
from services.catalog.settings import CatalogSettings
from services.catalog.sync_plan import (
    FoundModule,
    ListedModule,
    NotModule,
    ReadModule,
    RefusedModule,
    SameModule,
)

POLL_SECONDS: Final = 1.0
CLOSE_SECONDS_MAX: Final = 2
CONCLUDE_SECONDS_MAX: Final = 60.0
TOKEN_LENGTH_MAX: Final = 4_096
_FOLDER_PREFIX: Final = "sync-"


class Syncing:
    """Runs syncs. `wake` makes it look at once."""

    def __init__(self, settings: CatalogSettings) -> None:
        self._settings = settings
        self._wake = asyncio.Event()
        self._busy: set[str] = set()
        self._readings = LastReadings()

    def wake(self) -> None:
        """Look for waiting syncs now rather than at the next poll."""
        self._wake.set()

    async def run_syncs(self, running: Running) -> None:
        """Run syncs until cancelled."""
        log = structlog.get_logger()
        if shutil.which("git") is None:
            log.error("catalog.git_missing", consequence="every sync will fail")
        await asyncio.to_thread(self._clear_work_dir)
        store = open_archive_store(self._settings.archive_url)
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    await self._begin_what_waits(running, store, group)
                except OUTAGES as error:
                    log.warning("catalog.syncs_unknown", error=repr(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()

    def _clear_work_dir(self) -> None:
        """Remove what an earlier process left behind."""
        self._settings.work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._settings.work_dir.glob(f"{_FOLDER_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)

    async def _begin_what_waits(
        self, running: Running, store: ArchiveStore, group: asyncio.TaskGroup
    ) -> None:
        limit = self._settings.concurrent_syncs_max
        # As many more as are busy, since those are still among the unfinished.
        for sync in await first_unfinished_syncs(running.pool, limit + len(self._busy)):
            if sync.scope in self._busy or len(self._busy) >= limit:
                continue
            self._busy.add(sync.scope)
            group.create_task(self._run_one(running, store, sync), name=f"sync-{sync.sync_id}")

    async def _run_one(self, running: Running, store: ArchiveStore, sync: WaitingSync) -> None:
        log = structlog.get_logger().bind(sync_id=sync.sync_id, scope=sync.scope)
        ended = False
        try:
            async with _scope_lock(running, sync.scope) as locked:
                if locked:
                    await _Sync(running, self._settings, store, sync, self._readings).run()
                    ended = True
        except (*OUTAGES, UnavailableError) as error:
            log.warning("sync.interrupted", error=repr(error))
        except Refusal as refusal:
            log.warning("sync.overtaken", code=refusal.code, detail=refusal.detail)
        finally:
            self._busy.discard(sync.scope)
            if ended:
                self._wake.set()


@contextlib.asynccontextmanager
async def _scope_lock(running: Running, scope: str) -> AsyncIterator[bool]:
    """Give whether this process holds the scope's lock, for as long as the block lasts."""
    connection = await asyncpg.connect(
        running.settings.postgres_dsn.get_secret_value(), timeout=5, command_timeout=10
    )
    try:
        yield bool(
            await connection.fetchval(
                "select pg_try_advisory_lock(hashtext('catalog.sync'), hashtext($1))", scope
            )
        )
    finally:
        # Where the server is gone, so is the lock.
        with contextlib.suppress(*OUTAGES, TimeoutError):
            await connection.close(timeout=CLOSE_SECONDS_MAX)


class _Asked(TypedDict):
    """What Git is asked of a repository with."""

    branch: str | None
    token: str | None
    into: Path
    limits: GitLimits
    allow_private: bool


@dataclass
class _Sync:
    """One attempt at one sync."""

    running: Running
    settings: CatalogSettings
    store: ArchiveStore
    sync: WaitingSync
    readings: LastReadings

    async def run(self) -> None:
        """Read it, in the trace of whoever asked for it."""
        with within(await self._traceparent()):
            await self._run()

    async def _traceparent(self) -> str | None:
        key = (TRACES, self.sync.sync_id)
        async with self.running.store.transaction() as transaction:
            body = (await transaction.documents([key])).get(key)
        return None if body is None else msgspec.msgpack.decode(body, type=KeptTrace).traceparent

    async def _run(self) -> None:
        sync = self.sync
        log = structlog.get_logger().bind(sync_id=sync.sync_id, scope=sync.scope)
        begun = await self._begin()
        if begun is None:
            log.warning("sync.given_up")
            return
        modules = await modules_of_scope(self.running.pool, sync.partner_id)
        sealed = await self._sealed_token()
        log.info("sync.started", attempt=begun.attempt, repository=sync.repository_url)
        command: Command
        try:
            async with asyncio.timeout(self.settings.sync_timeout_seconds):
                command = await self._read(begun.attempt, modules, sealed)
        except (RepositoryError, GitMissingError, Refusal) as error:
            command = self._failed(begun.attempt, _said(error))
        except TimeoutError:
            seconds = self.settings.sync_timeout_seconds
            command = self._failed(begun.attempt, f"the sync took longer than {seconds:g} seconds")
        except (ArchiveError, OSError) as error:
            log.exception("sync.storage_failed")
            what = f"the modules' sources cannot be kept: {type(error).__name__}"
            command = self._failed(begun.attempt, what)
        await self.running.processor.execute(command, timeout_seconds=CONCLUDE_SECONDS_MAX)
        log.info("sync.ended", failed=isinstance(command, FailSync))

    async def _begin(self) -> SyncStarted | None:
        """Return the attempt that was begun, or None if there were too many."""
        command = BeginSync(
            actor=self.sync.requested_by,
            correlation_id=self.sync.correlation_id,
            sync_id=self.sync.sync_id,
            partner_id=self.sync.partner_id,
        )
        outcome = await self.running.processor.execute(command)
        facts = (record.fact for record in outcome.records)
        return next((fact for fact in facts if isinstance(fact, SyncStarted)), None)

    def _failed(self, attempt: int, error: str) -> FailSync:
        return FailSync(
            actor=self.sync.requested_by,
            correlation_id=self.sync.correlation_id,
            sync_id=self.sync.sync_id,
            partner_id=self.sync.partner_id,
            attempt=attempt,
            error=error,
        )

    async def _read(
        self, attempt: int, modules: list[ModuleRow], sealed: SealedToken | None
    ) -> ConcludeSync:
        """Return what the repository holds now, as the command that makes it so."""
        sync = self.sync
        known = _unchanging(modules, sync.repository_url)
        with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, dir=self.settings.work_dir) as name:
            commit, results = await self._results(Path(name), known, self._opened(sealed))
        readings, branch = self.readings, sync.branch
        readings.remember(
            sync.scope, sync.repository_url, branch, commit, results=results, known=known
        )
        return ConcludeSync(
            actor=sync.requested_by,
            correlation_id=sync.correlation_id,
            sync_id=sync.sync_id,
            partner_id=sync.partner_id,
            attempt=attempt,
            commit=commit,
            listed=tuple(
                ListedModule(
                    name=module.name,
                    module_id=module.module_id,
                    path=module.path,
                    version=module.version,
                    withdrawn=module.withdrawn,
                    live_deployments=module.live_deployments,
                )
                for module in modules
            ),
            results=results,
        )

    async def _results(
        self, folder: Path, known: list[KnownModule], token: str | None
    ) -> tuple[str, tuple[ReadModule, ...]]:
        """Return the branch's newest commit, and what it holds."""
        sync, settings = self.sync, self.settings
        address = read_address(sync.repository_url, allow_local=settings.allow_local_repositories)
        asked: _Asked = {
            "branch": read_branch(sync.branch),
            "token": token,
            "into": folder,
            "limits": GitLimits(
                seconds_max=settings.sync_timeout_seconds,
                bytes_max=settings.repository_bytes_max,
            ),
            "allow_private": settings.allow_local_repositories,
        }
        last = self.readings.commit(sync.scope, sync.repository_url, sync.branch)
        if last is not None and await newest_commit(address, **asked) == last:
            results = self.readings.results(sync.scope, known)
            if results is not None:
                return last, results
        fetched = await fetch(address, **asked)
        output = folder / "archives"
        output.mkdir()
        path = address.path if isinstance(address, LocalAddress) else address.url
        reading = read_modules(
            fetched,
            repository_name=path.rstrip("/").rpartition("/")[2].removesuffix(".git"),
            known=known,
            output_directory=output,
            limits=ReadingLimits(
                module_seconds_max=settings.module_timeout_seconds,
                processes_max=settings.reading_processes_max or os.cpu_count() or 1,
            ),
        )
        async with contextlib.aclosing(reading):
            found = [await self._kept(each, fetched.commit) async for each in reading]
        return fetched.commit, tuple(found)

    async def _kept(self, result: Result, commit: str) -> ReadModule:
        """Return the result for the decider, once the module's source is kept for good."""
        match result:
            case Same(path=path):
                return SameModule(path)
            case Refused(path=path, problems=problems):
                return RefusedModule(path, problems)
            case NoModule(path=path):
                return NotModule(path)
            case Found() as found:
                digest = await asyncio.to_thread(_keep, self.store, Path(found.archive_file))
                content = Content(
                    definition=found.definition,
                    repository=self.sync.repository_url,
                    path=found.path,
                    commit=commit,
                    archive_digest=digest,
                    archive_folder=found.archive_folder,
                    fingerprint=found.fingerprint,
                    fingerprint_paths=found.paths,
                )
                return FoundModule(found.path, content, found.warnings, new_id())

    async def _sealed_token(self) -> SealedToken | None:
        key = (TOKENS, self.sync.sync_id)
        async with self.running.store.transaction() as transaction:
            body = (await transaction.documents([key])).get(key)
        return None if body is None else msgspec.msgpack.decode(body, type=SealedToken)

    def _opened(self, sealed: SealedToken | None) -> str | None:
        """Return the repository's token; None if there is none."""
        if sealed is None:
            return None
        if self.settings.sealing_key is None:
            raise RepositoryError("the catalogue has no key to open the repository's token with")
        # Heavy, and needed only where a repository is private.
        from runtime.sealing import SealingError, open_sealed

        try:
            key = self.settings.sealing_key.get_secret_value()
            token = open_sealed(sealed.jwe, key).decode("utf-8", "replace")
        except SealingError as error:
            raise RepositoryError("the repository's token cannot be opened: set it anew") from error
        if not token.isprintable() or not 0 < len(token) <= TOKEN_LENGTH_MAX:
            raise RepositoryError("the repository's token is no token: it has odd characters")
        return token


def _unchanging(modules: list[ModuleRow], repository_url: str) -> list[KnownModule]:
    """Return the modules that need not be read again if their fingerprint is the same."""
    return [
        KnownModule(
            path=module.path, fingerprint=module.fingerprint, paths=module.fingerprint_paths
        )
        for module in modules
        if not module.withdrawn and module.repository == repository_url
    ]


def _keep(store: ArchiveStore, archive_file: Path) -> str:
    digest = store.put(archive_file.read_bytes())
    archive_file.unlink()
    return digest


def _said(error: Exception) -> str:
    return error.detail if isinstance(error, Refusal) else str(error)
