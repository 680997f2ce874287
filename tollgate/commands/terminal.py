"""What `tollgate up` shows."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from runtime.clock import system_clock

if TYPE_CHECKING:
    from devkit.environment import Environment


def tell(part: str, text: str) -> None:
    """Print a line about a part; a reader who has gone is no reason to stop."""
    at = system_clock.now().astimezone().strftime("%H:%M:%S")
    _print(f"{at} {part:<9} {text}")


def announce(environment: "Environment", seconds: float) -> None:
    """Print that all is ready, and where."""
    gateway = environment.health_url("gateway")
    directory = environment.directory.path
    _print(f"ready in {seconds:.1f} s")
    _print(f"  gateway   {gateway}   (API: {gateway}/api/docs)")
    _print(f"  postgres  127.0.0.1:{environment.ports['postgres']}")
    _print(f"  nats      127.0.0.1:{environment.ports['nats']}")
    _print(f"  data      {directory}   (logs in {directory / 'logs'})")


def _print(line: str) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
