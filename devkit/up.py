"""`tollgate up`: brings the system up, stays until told to stop or until it cannot go on."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devkit.data_directory import DataDirectory, lock, open_data_directory
from devkit.environment import SERVERS, Environment, choose_ports
from devkit.guard import Guard
from devkit.logs import Follower, short_form
from devkit.ports import is_free
from devkit.secret_store import load_or_make
from devkit.system import System
from runtime.clock import monotonic_seconds
from services.wiring import TOPOLOGY

_LOG_POLL_SECONDS: Final = 0.25
_SAME_SIGNAL_SECONDS: Final = 1.0
"""A wrapper may pass on a Ctrl-C that we got too: so soon a second one means nothing more."""
_FOLLOWED: Final = (*SERVERS, *TOPOLOGY.services)

Tell = Callable[[str, str], None]
Accounts = dict[str, dict[str, str]]
"""Role → the demo account's e-mail, password, user id and token."""


class PortTakenError(Exception):
    """Somebody else listens on the port that the gateway should have."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} is taken: choose another with --port N, or any free one with --port 0"
        )
        self.port = port


@dataclass(frozen=True)
class Options:
    """What was asked for, by which release. `tell` gets (part, text) for people.

    `least_level` is what a service's log line must have to be told too. `announce` is called once
    all is up, with the environment, the seconds it took, and the demo accounts if there are any.
    """

    data_dir: Path
    port: int
    version: str
    tell: Tell
    least_level: str
    demo: bool
    announce: Callable[[Environment, float, Accounts], None]


def run(options: Options) -> None:
    """Run until a signal says stop; then nothing runs any more.

    Raises `DataDirectoryError`, `PortTakenError`, `ProgramFailedError`, `NotReadyError` and others
    where the system cannot be brought up or kept up; then, too, nothing is left running.
    """
    begun = monotonic_seconds()
    lock_descriptor = lock(options.data_dir, lambda text: options.tell("up", text))
    try:
        directory = open_data_directory(options.data_dir, version=options.version)
        if options.port != 0 and not is_free(options.port):
            raise PortTakenError(options.port)
        environment = Environment(
            directory=directory,
            secrets=load_or_make(directory.secrets, TOPOLOGY.services),
            ports=choose_ports(directory, options.port),
        )
        guard = Guard(lock_descriptor, directory.log("watchdog"))
        try:
            asyncio.run(_live(options, directory, environment, guard, begun))
        finally:
            guard.dismiss()
    finally:
        os.close(lock_descriptor)


async def _live(
    options: Options,
    directory: DataDirectory,
    environment: Environment,
    guard: Guard,
    begun: float,
) -> None:
    system = System(options.tell, directory, environment, guard, port_is_fixed=options.port != 0)
    told_to_stop = asyncio.Event()
    told_at = 0.0

    def stop() -> None:
        nonlocal told_at
        if not told_to_stop.is_set():
            told_at = monotonic_seconds()
            told_to_stop.set()
        elif monotonic_seconds() - told_at > _SAME_SIGNAL_SECONDS:
            system.supervisor.hurry()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    logs = asyncio.create_task(_show_logs(options, directory))
    try:
        await _until(told_to_stop, _serve(options, system, begun))
    finally:
        options.tell("up", "stopping")
        logs.cancel()
        await system.bring_down()
        options.tell("up", "stopped")


async def _serve(options: Options, system: System, begun: float) -> None:
    await system.bring_up()
    accounts = await _demo(options, system.environment)
    system.write_endpoints()
    options.announce(system.environment, monotonic_seconds() - begun, accounts)
    await system.supervisor.failure()


async def _demo(options: Options, environment: Environment) -> Accounts:
    if not options.demo:
        return {}
    from devkit.demo import prepare_demo

    return await prepare_demo(environment, options.tell)


async def _until(told_to_stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Let the work go on until it ends, which raises why, or until we are told to stop."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(told_to_stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if told_to_stop.is_set():
        working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        return
    except ExceptionGroup as group:
        raise _first(group) from None


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return one of the errors: side by side they have one cause."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _show_logs(options: Options, directory: DataDirectory) -> None:
    """Tell what the parts log, as far as it is worth it, and keep the files short."""
    followers = [Follower.from_end(name, directory.log(name)) for name in _FOLLOWED]
    while True:
        for follower in tuple(followers):
            try:
                _show_new_lines(options, follower)
            except OSError as error:
                options.tell("up", f"{follower.path} is followed no more: {error}")
                followers.remove(follower)
        await asyncio.sleep(_LOG_POLL_SECONDS)


def _show_new_lines(options: Options, follower: Follower) -> None:
    for line in follower.new_lines():
        said = short_form(line, least_level=options.least_level)
        if said is not None:
            options.tell(follower.name, said)
