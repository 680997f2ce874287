"""What logs show, and what they never do."""

import subprocess
import sys

from tests.support.up import ROOT

FAILING = """
import structlog
from runtime.telemetry import configure_command_logging, configure_logging
HOW
def fail():
    password = "correct horse"
    raise ValueError("it went wrong")
try:
    fail()
except ValueError:
    structlog.get_logger().exception("command.failed")
structlog.get_logger().debug("of no interest")
"""


def logged(how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FAILING.replace("HOW", how)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_commands_log_is_beside_its_output_and_shows_no_local_variable() -> None:
    done = logged("configure_command_logging()")
    assert "ValueError: it went wrong" in done.stderr
    assert "of no interest" not in done.stderr
    assert "correct horse" not in done.stderr
    assert done.stdout == ""


def test_a_services_log_shows_no_local_variable() -> None:
    for shape in ("json", "console"):
        done = logged(f"configure_logging('ledger', level='info', log_format='{shape}')")
        assert "ValueError: it went wrong" in done.stdout
        assert "correct horse" not in done.stdout + done.stderr
