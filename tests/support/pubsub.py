"""Google's own Pub/Sub emulator, where it is installed."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.cloud import pubsub_v1  # type: ignore[import-untyped]  # Google's has no types

from devkit.ports import free_port
from tests.support.tools import lacking

READY_SECONDS_MAX: Final = 60
_PLACES: Final = tuple(f"{at}/google-cloud-sdk" for at in ("/usr/lib", "/usr/share", "/opt"))
_JAR: Final = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
VARIABLE: Final = "PUBSUB_EMULATOR_HOST"


def emulator_jar() -> Path:
    """Return the emulator's program; the test is skipped, or fails, where there is none."""
    places = filter(None, (os.environ.get("CLOUDSDK_ROOT_DIR"), *_PLACES))
    found = [jar for place in places for jar in sorted(Path(place).glob(_JAR))]
    if not found:
        lacking("pubsub", "Google's Pub/Sub emulator is not installed")
    return found[0]


@contextmanager
def emulator(log: Path) -> Iterator[None]:
    """Run the emulator; Google's clients find it by the environment until the block ends."""
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    words = ("java", "-Xmx256m", "-jar", str(emulator_jar()), f"--host={host}", f"--port={port}")
    with log.open("ab") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = address
    try:
        _until_ready(process)
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
        process.terminate()
        psutil.wait_procs([psutil.Process(process.pid)], timeout=10)
        if process.poll() is None:
            process.kill()
        process.wait()


def _until_ready(process: subprocess.Popen[bytes]) -> None:
    """Ask until it answers: to a connection that is refused Google's client comes back later."""
    client = pubsub_v1.PublisherClient()
    for _ in range(READY_SECONDS_MAX):
        assert process.poll() is None, "the emulator has ended"
        try:
            list(client.list_topics(project="projects/ready", timeout=1))
        except (GoogleAPICallError, RetryError):
            time.sleep(0.2)
        else:
            client.stop()
            return
    raise AssertionError("the emulator did not get ready")
