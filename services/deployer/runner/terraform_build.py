"""What a runner does with Terraform: fetch the module, init, apply.

How a step ended is what its exit status says, and outputs are what the state has. What Terraform
prints is for the log, the progress and the words of an error: where a module can reach that stream
(`/proc/PID/fd`, without a room of its own), it can make those say what it likes, and no more.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from runtime.archive import ArchiveError, digest_of, extract
from services.deployer import terraform
from services.deployer.runner.job import Job, Order
from services.deployer.runner.log_file import Pieces
from services.deployer.runner.namespaces import STATE_PORT, WAY_OUT_PORT, Listeners, Room
from services.deployer.runner.output_secrets import OutputSecrets
from services.deployer.runner.program import FILE_BYTES_MAX, HARD_FACTOR, Bounds, Program
from services.deployer.runner.state_proxy import StateProxy, state_address
from services.deployer.runner.unrecorded import Unrecorded
from services.deployer.runner.usage import MIB, NO_ROOM_LEFT, Limits, is_full
from services.deployer.runner.way_out import Reach, WayOut, own_addresses
from services.deployer.terraform_errors import DISK_IS_FULL, ERRORS_MAX, Told, explain

OUTPUT_BYTES_MAX: Final = 1024**2
PARKED_STATE_FILE: Final = "parked.tfstate"
LINES_KEPT_MAX: Final = 1_000

Progress = tuple[int, int | None]
"""How many resources Terraform is through with, and of how many, once it knows."""


@dataclass(eq=False)
class Failed(Exception):  # noqa: N818 - an outcome, told in the report
    """The build cannot go on; `platform_fault` where the module is not to blame."""

    code: str
    message: str
    platform_fault: bool = False


def module_folder(folder: Path, archive_folder: str) -> Path:
    """Return where in a build's folder Terraform runs."""
    return folder / "home" / "source" / archive_folder


def unsaved_states(folder: Path, archive_folder: str) -> list[bytes]:
    """Return what of a build's state nobody has taken yet, the oldest first."""
    module = module_folder(folder, archive_folder).relative_to(folder)
    files = ((PARKED_STATE_FILE,), (*module.parts, terraform.UNSAVED_STATE_FILE))
    return [state for file in files if (state := terraform.read_state(folder, *file)) is not None]


class TerraformBuild:
    """Terraform's part of a build; what it prints is handed to `say`, line by line.

    `progress` says how many resources are made, changed or removed, and how many are to be.
    """

    def __init__(
        self,
        order: Order,
        job: Job,
        *,
        state: StateProxy,
        say: Callable[[str], None],
        pieces: Pieces,
        secrets: OutputSecrets,
    ) -> None:
        self._pieces = pieces
        self._secrets = secrets
        self._order = order
        self._job = job
        self._state = state
        self._say = say
        self._home = Path(order.folder) / "home"
        self.progress: Progress = (0, None)
        self._unrecorded = Unrecorded()
        self._program: Program | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def module(self) -> Path:
        """The folder that Terraform runs in."""
        return module_folder(Path(self._order.folder), self._job.archive_folder)

    async def unpack(self, archive: bytes) -> None:
        """Write the module, once it is what was published, and what Terraform needs beside it."""
        if digest_of(archive) != self._job.archive_digest:
            what = "the source is not what was published"
            raise Failed("SOURCE_DAMAGED", what, platform_fault=True)
        try:
            await asyncio.to_thread(self._write, archive)
        except ArchiveError as error:
            raise Failed("SOURCE_DAMAGED", str(error), platform_fault=True) from error

    def _write(self, archive: bytes) -> None:
        source = self._home / "source"
        source.mkdir()
        extract(archive, source)
        where = self._order.confinement
        terraform.prepare(
            self._home,
            self.module,
            self._job.variables,
            terraform.cli_config(where.provider_mirror, direct=where.providers_direct),
        )
        if self._order.uid is not None:
            _give(self._home, self._order.uid)

    async def init(self) -> None:
        """Prepare the module's folder."""
        await self._step("init", terraform.init_words(self._named()))

    async def apply(self) -> None:
        """Make the resources."""
        await self._step("apply", terraform.apply_words(self._named()))

    async def destroy(self) -> None:
        """Destroy the resources."""
        await self._step("destroy", terraform.destroy_words(self._named()))

    async def outputs(self) -> dict[str, Any]:
        """Return the outputs that the state has; `Failed` where they are too large to be told.

        They are not shown: sensitive ones are among them.
        """
        outputs = await self._state.outputs()
        if len(msgspec.json.encode(outputs)) > OUTPUT_BYTES_MAX:
            raise Failed("OUTPUTS_TOO_LARGE", f"the outputs are more than {OUTPUT_BYTES_MAX} bytes")
        return outputs

    def unrecorded(self) -> list[str]:
        """Return the resources that were made, and are in no state that is kept. This blocks."""
        states = unsaved_states(Path(self._order.folder), self._job.archive_folder)
        return self._unrecorded.left([self._state.newest, *states])

    def stop(self, grace_seconds: float) -> bool:
        """Interrupt what runs, and kill it after the grace; return whether anything runs."""
        program = self._program
        if program is None:
            return False
        program.interrupt()
        self._ending = asyncio.create_task(self._kill_later(program, grace_seconds))
        return True

    async def _kill_later(self, program: Program, grace_seconds: float) -> None:
        await asyncio.sleep(grace_seconds)
        if self._program is program:
            program.kill()

    def _named(self) -> str:
        program = terraform.find_terraform(self._job.program)
        if program is None:
            raise Failed("TERRAFORM_NOT_FOUND", terraform.NOT_FOUND, platform_fault=True)
        return program

    async def _step(self, name: str, words: list[str]) -> None:
        """Run a command whose output is shown; `Failed` where its exit status says so."""
        self._say(f"Running {Path(words[0]).name} {name}")
        told: list[Told] = []
        plain: list[str] = []

        def take(line: str) -> None:
            text, error = terraform.readable(line)
            if error is not None and len(told) <= ERRORS_MAX:
                told.append(error)
            self._secrets.are_sensitive(terraform.sensitive_in(line))
            self._unrecorded.take(line)
            planned, done = terraform.progress_in(line)
            self.progress = (
                self.progress[0] + done,
                self.progress[1] if planned is None else planned,
            )
            # What goes wrong before it has begun, or ends Terraform itself, is told as text.
            is_of_error = text == line and (plain or terraform.begins_error(text))
            if is_of_error and len(plain) < LINES_KEPT_MAX:
                plain.append(text)
            piece = terraform.printed_by(line)
            for each in self._pieces.end() if piece is None else self._pieces.take(*piece):
                self._say(each)
            if piece is None:
                self._say(text)

        try:
            status = await self._execute(words, take)
        finally:
            for each in self._pieces.end():
                self._say(each)
        if status != 0:
            raise self._failure(name, status, [*told, *terraform.errors_in_text(plain)])

    def _failure(self, step: str, status: int, errors: Sequence[Told]) -> Failed:
        """Return why a step failed, with the limit that it concerns if one does."""
        failed = _why(step, status, errors)
        if failed.code != "VARIABLE_INVALID" and is_full(self._home):
            return Failed("DISK_FULL", f"{DISK_IS_FULL}\n{failed.message}", platform_fault=True)
        most = self._order.confinement.memory_bytes_max
        if failed.code == "MEMORY_EXCEEDED" and most is not None:
            limit = f"All processes of a build may use {most // MIB} MiB together, one of them "
            limit += f"{HARD_FACTOR * most // MIB} MiB."
        elif failed.code == "LIMIT_EXCEEDED":
            limit = f"A file may have {FILE_BYTES_MAX // MIB} MiB, and a build take "
            limit += f"{self._job.build_seconds_max:g} s."
        else:
            return failed
        return Failed(failed.code, f"{failed.message}\n{limit}", failed.platform_fault)

    async def _execute(self, words: list[str], take: Callable[[str], None]) -> int:
        where = self._order.confinement
        room = await asyncio.to_thread(self._room, words[0]) if where.in_room else None
        environment = terraform.environment(
            home=self._home,
            state_url=state_address(STATE_PORT) if room else await self._state.listen(),
            token=self._order.terraform_token,
            proxy=f"http://127.0.0.1:{WAY_OUT_PORT}" if room else None,
        )
        bounds = Bounds(
            self._order.uid,
            cpu_seconds_max=int(self._job.build_seconds_max) + 1,
            limits=Limits(where.memory_bytes_max, where.disk_bytes_max),
        )
        self._program = Program(
            words,
            folder=self.module,
            home=self._home,
            scratch=Path(self._order.folder),
            environment=environment,
            bounds=bounds,
            room=room,
            serve=self._serve,
        )
        try:
            status = await self._program.run(take)
        except OSError as error:
            if error.errno in NO_ROOM_LEFT:
                raise Failed("DISK_FULL", DISK_IS_FULL, platform_fault=True) from error
            what = f"{Path(words[0]).name} could not be started: {error}"
            raise Failed("TERRAFORM_NOT_STARTED", what, platform_fault=True) from error
        else:
            if self._program.excess is not None:
                raise Failed(self._program.excess.code, self._program.excess.message)
            return status
        finally:
            self._program = None

    def _room(self, program: str) -> Room:
        """Return what a build sees: the system, what the settings name, Terraform, and its home."""
        where = self._order.confinement
        folder, uid = Path(self._order.folder), self._order.uid
        mount_point, temporary = folder / "room", folder / "tmp"
        mount_point.mkdir(exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        if uid is not None:
            os.chown(temporary, uid, uid)
        mirror = where.provider_mirror
        readable = [*where.readable, program, os.path.realpath(program)]
        if mirror is not None and not terraform.is_address(mirror):
            readable.append(mirror)
        return Room(
            home=self._home,
            temporary=temporary,
            readable=tuple(Path(path) for path in readable),
            mount_point=mount_point,
            uid=uid,
        )

    @asynccontextmanager
    async def _serve(self, listeners: Listeners) -> AsyncIterator[None]:
        """Be what a room's processes reach: the state, and the way out."""
        networks = tuple(self._order.confinement.networks)
        way_out = WayOut(Reach(networks, own_addresses()), self._say)
        async with self._state.serve(listeners.state), way_out.serve(listeners.way_out):
            yield


def _why(step: str, status: int, errors: Sequence[Told]) -> Failed:
    """Return why a step failed, by what it told, or else by how it ended."""
    told = explain(step, errors)
    if told is not None:
        return Failed(told.code, told.message, told.platform_fault)
    match -status:
        case signal.SIGKILL:
            what = (
                f"{step} was killed from outside, most likely since this machine's memory ran out"
            )
            return Failed("TERRAFORM_KILLED", what, platform_fault=True)
        case signal.SIGXCPU | signal.SIGXFSZ as number:
            limit = "time of a processor" if number == signal.SIGXCPU else "output to a file"
            return Failed("LIMIT_EXCEEDED", f"{step} used more {limit} than a build may")
        case _:
            return Failed(f"{step.upper()}_FAILED", f"{step} ended with status {status}")


def _give(folder: Path, uid: int) -> None:
    """Give a folder and all in it to the build's own user."""
    for place, _, files in os.walk(folder):
        for path in (place, *(str(Path(place, file)) for file in files)):
            os.chown(path, uid, uid, follow_symlinks=False)
