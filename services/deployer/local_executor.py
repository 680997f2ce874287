"""Runs builds on this machine: one runner process for each, in a session of its own.

A runner is not the deployer's limb: it goes on when the deployer is killed, reports to the one
that comes next, and stops by itself when nobody listens. Only where the deployer itself stops in
good order are its runners told to stop too.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

import psutil
import structlog

from runtime.process import Running
from services.deployer.settings import DeployerSettings
from services.deployer.terraform import find_terraform

_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH")
_RUNNER_MODULE: Final = "services.deployer.runner"


class ExecutorError(Exception):
    """A runner cannot be started: `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LocalExecutor:
    """Starts runners and, when the deployer stops, ends them."""

    name: Final = "local"

    def __init__(self, settings: DeployerSettings, builds_url: str) -> None:
        self._settings = settings
        self._builds_url = builds_url
        self._process_ids: set[int] = set()

    def start(self, build_id: str, token: str) -> int:
        """Start a build's runner and return its process id; `ExecutorError` where none can be."""
        if find_terraform(self._settings.terraform) is None:
            raise ExecutorError(
                "TERRAFORM_NOT_FOUND",
                "neither terraform nor tofu is on this machine's PATH; install one, or name it in "
                "TOLLGATE_TERRAFORM",
            )
        if not self._settings.allow_unisolated_builds:
            raise ExecutorError(
                "BUILDS_NOT_ISOLATED",
                "builds on this machine run with the deployer's own rights, which needs "
                "TOLLGATE_ALLOW_UNISOLATED_BUILDS and is for development only",
            )
        folder = self._settings.work_dir / build_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        order = {
            "url": f"{self._builds_url}/builds/{build_id}",
            "token": token,
            "folder": str(folder),
        }
        try:
            process_id = _spawn(folder / "runner.log", json.dumps(order).encode())
        except OSError as error:
            raise ExecutorError("RUNNER_NOT_STARTED", f"no runner started: {error}") from error
        self._process_ids.add(process_id)
        return process_id

    async def collect(self) -> None:
        """Take note of runners that have ended, so that none stays a zombie; for ever."""
        while True:
            await asyncio.sleep(1)
            for process_id in list(self._process_ids):
                try:
                    ended, _ = os.waitpid(process_id, os.WNOHANG)  # noqa: ASYNC222 - does not wait
                except ChildProcessError:
                    ended = process_id
                if ended:
                    self._process_ids.discard(process_id)


def _spawn(log: Path, order: bytes) -> int:
    """Start a runner in a session of its own, with the order on its standard input."""
    reading, writing = os.pipe()
    try:
        os.write(writing, order)  # smaller than a pipe's buffer, so it does not wait
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", _RUNNER_MODULE],
            {name: os.environ[name] for name in _INHERITED if name in os.environ},
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
    finally:
        os.close(writing)
        os.close(reading)


async def stop_runners(running: Running, seconds_max: float) -> None:
    """Tell this machine's runners to stop, wait for them, and kill what is left after the bound.

    They stop Terraform gracefully and report, so their builds end as interrupted.
    """
    rows = await running.pool.fetch(
        """select l.process_id from leases l join builds b using (build_id)
           where b.status = 'RUNNING' and l.process_id is not null"""
    )
    runners = [process for row in rows if (process := runner_process(row["process_id"]))]
    for runner in runners:
        structlog.get_logger().info("runner.told_to_stop", pid=runner.pid)
        _signal(runner, signal.SIGTERM)
    _, alive = await asyncio.to_thread(psutil.wait_procs, runners, timeout=seconds_max)
    for runner in alive:
        structlog.get_logger().error("runner.killed", pid=runner.pid)
        _signal(runner, signal.SIGKILL)


def runner_process(process_id: int) -> psutil.Process | None:
    """Return the runner that has this process id, unless somebody else has it by now."""
    try:
        process = psutil.Process(process_id)
        ours = _RUNNER_MODULE in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if ours and process.status() != psutil.STATUS_ZOMBIE else None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
