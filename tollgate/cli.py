"""The console command `tollgate`.

A service is started without loading anything of the other commands, so that it stays small.
"""

import sys
from typing import Final, NoReturn

_SERVICE_WORDS: Final = 2


def main() -> NoReturn:
    """Run the command on the command line and exit with its status: 0, 1 failed, 2 bad usage."""
    words = sys.argv[1:]
    if len(words) == _SERVICE_WORDS and words[0] == "service" and not words[1].startswith("-"):
        _do_without("rich")
        from tollgate.service import run_service

        sys.exit(run_service(words[1]))
    from runtime.telemetry import configure_command_logging
    from tollgate.commands import app

    configure_command_logging()
    app(prog_name="tollgate")
    sys.exit(0)


def _do_without(package: str) -> None:
    """Have imports of an optional package fail: it is for terminals, and costs 4 MiB a process."""
    sys.modules.setdefault(package, None)  # type: ignore[arg-type]  # None is how
