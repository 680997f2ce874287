"""Starts the watchdog and keeps telling it what runs (see `devkit.watchdog`)."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from devkit.supervisor import Part

_END_SECONDS_MAX: Final = 5.0
_PROGRAM: Final = Path(__file__).with_name("watchdog.py")


class Guard:
    """Our end of the watchdog's pipe. `lock` is the data directory's, which the watchdog shares."""

    def __init__(self, lock: int, log: Path) -> None:
        self._lock = lock
        self._log = log
        self._process = self._start()

    def update(self, parts: Sequence[Part]) -> None:
        """Tell what runs now; a watchdog that was killed is replaced."""
        if self._process.poll() is not None:
            self._process = self._start()
        running = [
            [part.child.pid, int(part.child.program.stop_signal), part.stage]
            for part in parts
            if part.child is not None and part.child.process.poll() is None
        ]
        self._write(json.dumps(running))

    def dismiss(self) -> None:
        """End the watchdog: nothing runs any more."""
        if self._process.poll() is None:
            self._write("[]")
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(_END_SECONDS_MAX)

    def _write(self, line: str) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the watchdog was started without a pipe")
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            return subprocess.Popen(
                (sys.executable, "-I", "-S", str(_PROGRAM)),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={},
                start_new_session=True,
                pass_fds=(self._lock,),
            )
