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


def announce(
    environment: "Environment", seconds: float, accounts: dict[str, dict[str, str]]
) -> None:
    """Print that all is ready, where, and with which accounts."""
    gateway = environment.health_url("gateway")
    directory = environment.directory.path
    _print(f"ready in {seconds:.1f} s")
    _print(f"  gateway   {gateway}   (API: {gateway}/api/docs)")
    _print(f"  postgres  127.0.0.1:{environment.ports['postgres']}")
    _print(f"  nats      127.0.0.1:{environment.ports['nats']}")
    if environment.stripe_url is not None:
        _print(f"  stripe    {environment.stripe_url}   (a fake: no real money, no account)")
    _print(f"  data      {directory}   (logs in {directory / 'logs'})")

    if accounts:
        _print("  accounts  " + "\n            ".join(_account_lines(accounts)))
        _print(f"            their tokens are in {environment.directory.demo}")
    else:
        make = f"tollgate user create --data-dir {directory} --role admin --email you@example.com"
        _print(f"  accounts  the first one: {make}")


def _account_lines(accounts: dict[str, dict[str, str]]) -> list[str]:
    return [f"{account['email']:<22} {account['password']}" for account in accounts.values()]


def _print(line: str) -> None:
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
