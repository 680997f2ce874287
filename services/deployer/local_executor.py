"""Runs builds on this machine: one runner process for each, in a session and a folder of its own.

A runner is not the deployer's limb: it goes on when the deployer is killed, reports to the one
that comes next, and stops by itself when nobody listens. Only where the deployer itself stops in
good order are its runners told to stop too. What there is of a build is read from its folder, so
that a deployer that was started anew knows as much as the one before it.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec
import psutil
import structlog

from runtime.clock import monotonic_seconds
from services.deployer.build_users import reserve, reserve_free, reserves_itself
from services.deployer.builds import LeaseTokens
from services.deployer.executor import ExecutorError
from services.deployer.isolation import Isolation
from services.deployer.runner.job import Confinement, Order
from services.deployer.runner.processes import (
    PROCESS_ID_FILE,
    RUNNER_MODULE,
    kill_in,
    kill_user,
    runner_in,
    works_in,
)
from services.deployer.runner.terraform_build import unsaved_states
from services.deployer.runner.usage import MIB
from services.deployer.settings import DeployerSettings
from services.deployer.terraform import NOT_FOUND, find_terraform

FINISH_POLL_SECONDS: Final = 1.0
DEATH_SECONDS_MAX: Final = 10.0
"""How long something that was killed may take to be gone."""

_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH")


class LocalExecutor:
    """Starts runners, notices when one has died, and ends them when the deployer stops."""

    name: Final = "local"
    take_seconds_max: Final = 15.0

    def __init__(self, settings: DeployerSettings, builds_url: str, isolation: Isolation) -> None:
        self._settings = settings
        self._work_dir = settings.work_dir.absolute()
        self._builds_url = builds_url
        self._first_user = isolation.first_build_uid
        self._isolation = isolation
        self._children: set[int] = set()

    async def start(self, build_id: str, attempt: int, tokens: LeaseTokens) -> None:
        """Start a runner for an attempt; `ExecutorError` where none can be."""
        if find_terraform(self._settings.terraform) is None:
            raise ExecutorError("TERRAFORM_NOT_FOUND", NOT_FOUND)
        if not self._isolation.in_room and not self._settings.allow_unisolated_builds:
            raise ExecutorError(
                "BUILDS_NOT_ISOLATED",
                f"builds on this machine would {self._isolation.consequence}, which needs "
                "TOLLGATE_ALLOW_UNISOLATED_BUILDS and is for development only",
            )
        try:
            self._start(build_id, attempt, tokens)
        except OSError as error:
            raise ExecutorError("RUNNER_NOT_STARTED", f"no runner started: {error}") from error

    def _start(self, build_id: str, attempt: int, tokens: LeaseTokens) -> None:
        reserved = self._reserve_user()
        try:
            self._start_as(reserved, build_id, attempt, tokens)
        finally:
            if reserved is not None:
                reserved[1].close()

    def _start_as(
        self,
        reserved: tuple[int, socket.socket] | None,
        build_id: str,
        attempt: int,
        tokens: LeaseTokens,
    ) -> None:
        uid, reservation = reserved or (None, None)
        folder = self._folder(build_id, attempt)
        home = folder / "home"
        home.mkdir(parents=True)
        home.chmod(0o700)
        folder.chmod(0o700 if uid is None else 0o711)
        if uid is not None:
            os.chown(home, uid, uid)
        order = Order(
            url=f"{self._builds_url}/builds/{build_id}",
            token=tokens.runner,
            terraform_token=tokens.terraform,
            folder=str(folder),
            uid=uid,
            interruption_seconds_max=self._settings.interruption_seconds,
            confinement=self._confinement(),
        )
        process_id = _spawn(folder, msgspec.json.encode(order), reservation)
        self._children.add(process_id)
        (folder / PROCESS_ID_FILE).write_text(str(process_id))

    def _confinement(self) -> Confinement:
        settings = self._settings
        return Confinement(
            in_room=self._isolation.in_room,
            readable=[str(path) for path in settings.build_readable_paths],
            networks=[str(network) for network in settings.build_networks],
            memory_bytes_max=settings.build_memory_mib_max * MIB,
            disk_bytes_max=settings.build_disk_mib_max * MIB,
            provider_mirror=settings.provider_mirror,
            providers_direct=settings.providers_direct,
        )

    def _reserve_user(self) -> tuple[int, socket.socket] | None:
        """Return a user for a build, and what reserves it; nothing where builds have none."""
        if self._first_user is None:
            return None
        # A folder's user may yet have to be asked about, though nothing runs as it any more.
        taken = {uid for folder in self.folders() if (uid := _user_of(folder)) is not None}
        return reserve_free(self._first_user, taken)

    # What has become of them.

    def folders(self) -> list[Path]:
        """Return the folders of all attempts that are not cleared away."""
        return [path for path in self._work_dir.glob("build-*-[0-9]*") if path.is_dir()]

    async def has_died(self, build_id: str, attempt: int) -> bool:
        """Return whether an attempt's runner was here, and is no more."""
        folder = self._folder(build_id, attempt)
        return folder.is_dir() and runner_in(folder) is None

    async def has_terraform(self, build_id: str, attempt: int) -> bool:
        """Return whether an attempt's Terraform still works in its folder."""
        program = Path(find_terraform(self._settings.terraform) or "terraform").name
        return await asyncio.to_thread(works_in, self._folder(build_id, attempt), program)

    async def end(self, build_id: str, attempt: int) -> None:
        """Kill all there is of an attempt on this machine."""
        await asyncio.to_thread(self._kill, self._folder(build_id, attempt))

    def _kill(self, folder: Path) -> None:
        runner = runner_in(folder)
        if runner is not None:
            _signal(runner, signal.SIGKILL)
            # It reserves the build's user for as long as it lives.
            psutil.wait_procs([runner], timeout=DEATH_SECONDS_MAX)
        if folder.is_dir():
            uid = _user_of(folder)
            if uid is not None:
                _kill_all_of(uid)
            kill_in(folder)

    async def unsaved_states(self, build_id: str, attempt: int, archive_folder: str) -> list[bytes]:
        """Return what of a dead attempt's state nobody has taken, the oldest first."""
        folder = self._folder(build_id, attempt)
        return await asyncio.to_thread(unsaved_states, folder, archive_folder)

    async def attempts(self) -> set[tuple[str, int]]:
        """Return the attempts that have a folder here."""
        self._collect()
        return {_attempt_of(folder) for folder in self.folders()}

    async def clear(self, build_id: str, attempt: int) -> None:
        """Remove an attempt's folder, if nobody works in it any more."""
        folder = self._folder(build_id, attempt)
        if runner_in(folder) is None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _collect(self) -> None:
        """Take note of runners that have ended, so that none stays a zombie."""
        for process_id in list(self._children):
            try:
                ended, _ = os.waitpid(process_id, os.WNOHANG)
            except ChildProcessError:
                ended = process_id
            if ended:
                self._children.discard(process_id)

    async def finish(self, seconds_max: float) -> None:
        """Wait, so long at most, until no runner is left."""
        deadline = monotonic_seconds() + seconds_max
        while (left := len(self._runners())) and monotonic_seconds() < deadline:
            structlog.get_logger().info("builds.finishing", count=left)
            await asyncio.sleep(min(FINISH_POLL_SECONDS, deadline - monotonic_seconds()))

    def _runners(self) -> dict[Path, psutil.Process]:
        return {f: runner for f in self.folders() if (runner := runner_in(f)) is not None}

    async def stop(self) -> None:
        """Tell all runners to stop, wait for them, and kill what is left after the bound.

        They stop Terraform gracefully and report, so their builds end as interrupted. Where builds
        outlive a stop they are left alone, as after a crash: they report to the next process, and
        stop by themselves if none comes.
        """
        log = structlog.get_logger()
        runners = self._runners()
        if self._settings.builds_outlive_stop:
            log.info("builds.left_running", count=len(runners))
            return
        for runner in runners.values():
            log.info("runner.told_to_stop", pid=runner.pid)
            _signal(runner, signal.SIGTERM)
        bound = self._settings.interruption_seconds
        await asyncio.to_thread(psutil.wait_procs, list(runners.values()), timeout=bound)
        for folder in runners:
            if folder.is_dir() and (runner_in(folder) is not None or works_in(folder)):
                log.error("runner.killed", folder=folder.name)
                await asyncio.to_thread(self._kill, folder)

    def _folder(self, build_id: str, attempt: int) -> Path:
        return self._work_dir / f"{build_id}-{attempt}"


def _attempt_of(folder: Path) -> tuple[str, int]:
    build_id, _, attempt = folder.name.rpartition("-")
    return build_id, int(attempt)


def _user_of(folder: Path) -> int | None:
    """Return the user that an attempt runs as, where it is not our own."""
    try:
        uid = (folder / "home").lstat().st_uid
    except OSError:
        return None
    return None if uid == os.geteuid() else uid


def _kill_all_of(uid: int) -> None:
    """Kill all that runs as a build's user.

    Where another build has it by now, nothing of this one runs as it any more.
    """
    reservation = reserve(uid)
    if reservation is not None:
        with reservation:
            kill_user(uid)
    elif reserves_itself(uid):
        kill_user(uid)


def _spawn(folder: Path, order: bytes, reservation: socket.socket | None) -> int:
    """Start a runner in a session of its own, with the order on its standard input.

    It inherits the reservation of its user, which so ends with it.
    """
    kept = [] if reservation is None else [(os.POSIX_SPAWN_DUP2, reservation.fileno(), 3)]
    reading, writing = os.pipe()
    log = str(folder / "runner.log")
    try:
        os.write(writing, order)  # smaller than a pipe's buffer, so it does not wait
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", RUNNER_MODULE, str(folder)],
            {name: os.environ[name] for name in _INHERITED if name in os.environ},
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *kept,
            ],
        )
    finally:
        os.close(writing)
        os.close(reading)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
