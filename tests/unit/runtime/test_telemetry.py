"""What logs show, and what they never do."""

import json
import os
import subprocess
import sys
from typing import Final

import pytest

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


ANY_COMMAND: Final = """
import contextlib, io, sys
from tollgate.cli import main
sys.argv = ["tollgate", "config"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""


def logged(how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FAILING.replace("HOW", how)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize("how", ["configure_command_logging()", ANY_COMMAND])
def test_a_commands_log_is_beside_its_output_and_shows_no_local_variable(how: str) -> None:
    done = logged(how)
    assert "ValueError: it went wrong" in done.stderr
    assert "of no interest" not in done.stderr
    assert "correct horse" not in done.stderr
    assert done.stdout == ""


def test_a_services_log_shows_no_local_variable() -> None:
    for shape in ("json", "console"):
        done = logged(f"configure_logging('ledger', level='info', log_format='{shape}')")
        assert "ValueError: it went wrong" in done.stdout
        assert "correct horse" not in done.stdout + done.stderr


TRACED = """
import logging
import threading
import structlog
from runtime.spans import within
from runtime.telemetry import configure_logging
configure_logging("ledger", level="info", log_format="json")
with within("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
    structlog.get_logger().info("of.ours", correlation_id="1")
    logging.getLogger("library").warning("of a library's")
structlog.get_logger().info("of.no_trace")
thread = threading.Thread(target=logging.getLogger("library").warning, args=("of a thread",))
thread.start()
thread.join()
"""


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_line_of_the_log_names_the_trace_and_the_span_that_it_belongs_to() -> None:
    ours, librarys, *others = map(json.loads, run(TRACED).splitlines())
    for line in (ours, librarys):
        assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
        assert line["span_id"] == "b7ad6b7169203331"
    assert (ours["event"], ours["correlation_id"]) == ("of.ours", "1")
    assert ["trace_id" in line for line in others] == [False, False]
    assert {line["service"] for line in (ours, librarys, *others)} == {"ledger"}


SPANS = """
import sys
from pydantic import SecretStr
from runtime.settings import RuntimeSettings
from runtime.telemetry import build_spans
import services.ledger.main
dsn, secret = SecretStr("postgresql://x"), SecretStr("x")
settings = RuntimeSettings(postgres_dsn=dsn, nats_user="ledger", nats_password=secret)
print(type(build_spans("ledger", settings)).__name__, "opentelemetry.sdk.trace" in sys.modules)
"""


@pytest.mark.parametrize(
    ("environment", "spans"),
    [
        ({"TOLLGATE_OTLP_ENDPOINT": ""}, "PassOn False"),
        ({"TOLLGATE_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "Traced True"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "Traced True"),
        (
            {"TOLLGATE_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"},
            "PassOn False",
        ),
    ],
)
def test_spans_are_made_only_where_a_collector_is_named(
    environment: dict[str, str], spans: str
) -> None:
    """Where none is, the SDK is not even loaded."""
    assert run(SPANS, **environment).strip() == spans
