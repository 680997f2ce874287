"""What runs builds, behind one interface: this machine, or Cloud Build.

A build is given to one attempt, by whoever claimed it, and only that one comes for the job. An
executor starts what will come, knows what has become of it, and ends it; all else the runner tells
by itself (see `services.deployer.builds_api`).
"""

from typing import Protocol

from services.deployer.builds import LeaseTokens


class ExecutorError(Exception):
    """A runner cannot be started: `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Executor(Protocol):
    """Starts runners, knows when one has died, and ends them."""

    @property
    def name(self) -> str:
        """What a build's record says of where it ran."""
        ...

    @property
    def take_seconds_max(self) -> float:
        """How long a runner may take to come for its build before another one is started."""
        ...

    async def start(self, build_id: str, attempt: int, tokens: LeaseTokens) -> None:
        """Have a runner started for an attempt; `ExecutorError` where none can be."""
        ...

    async def has_died(self, build_id: str, attempt: int) -> bool:
        """Return whether an attempt's runner was there, and is no more."""
        ...

    async def has_terraform(self, build_id: str, attempt: int) -> bool:
        """Return whether Terraform still works for an attempt whose runner has died."""
        ...

    async def end(self, build_id: str, attempt: int) -> None:
        """End all there is of an attempt; what has ended already stays so."""
        ...

    async def unsaved_states(self, build_id: str, attempt: int, archive_folder: str) -> list[bytes]:
        """Return what of a dead attempt's state nobody has taken, the oldest first."""
        ...

    async def attempts(self) -> set[tuple[str, int]]:
        """Return the attempts of which something is kept, as (build, attempt)."""
        ...

    async def clear(self, build_id: str, attempt: int) -> None:
        """Forget an attempt that has ended, once nothing of it works any more."""
        ...

    async def finish(self, seconds_max: float) -> None:
        """Wait, so long at most, for the runners that live and die with this process."""
        ...

    async def stop(self) -> None:
        """Tell the runners that live and die with this process to stop, and wait for them."""
        ...
