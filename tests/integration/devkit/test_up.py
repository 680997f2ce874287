"""`tollgate up`, whole: ready, restarted, carried on, refused and stopped with nothing left."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from contracts.registry import SERVICES
from devkit.ports import free_port
from tests.support.folders import reachable_folder
from tests.support.ordinary_user import ordinary_user
from tests.support.up import UpProcess, processes_of, up

PARTS = ("postgres", "nats", "stripe", *SERVICES)
LEFT_SECONDS_MAX = 60.0


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder / "data"


def readyz(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def all_ready(running: UpProcess) -> bool:
    services = running.endpoints["services"]
    return all(readyz(services[name]["health_url"]) == 200 for name in SERVICES)


def pid_of(running: UpProcess, part: str) -> int:
    endpoints = running.endpoints
    if part in SERVICES:
        return int(endpoints["services"][part]["pid"])
    return int(endpoints["servers"][part])


def assert_nothing_left(data_dir: Path) -> None:
    deadline = time.monotonic() + LEFT_SECONDS_MAX
    while processes_of(data_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(data_dir) == []


async def test_everything_is_ready_and_says_where(data_dir: Path) -> None:
    with up(data_dir) as running:
        endpoints = running.wait_until_ready()

        assert all_ready(running)
        assert set(endpoints) >= {"gateway", "nats", "postgres", "stripe", "services"}
        assert set(endpoints["services"]) == set(SERVICES)
        running.wait_for_output("\nready in ")
        assert endpoints["gateway"] in running.output
        for service in SERVICES:
            connection = await asyncpg.connect(endpoints["postgres"][service])
            assert await connection.fetchval("select current_user") == f"tollgate_{service}"
            await connection.close()
        for name in ("endpoints.json", "secrets.json"):
            assert (data_dir / name).stat().st_mode & 0o777 == 0o600


def test_a_service_gets_its_own_settings_and_nobody_elses(data_dir: Path) -> None:
    foreign = {"AWS_SECRET_ACCESS_KEY": "s3cret", "TOLLGATE_STRAY": "x"}
    with up(data_dir, environment={**os.environ, **foreign}) as running:
        endpoints = running.wait_until_ready()
        secrets = json.loads((data_dir / "secrets.json").read_text())
        for service in SERVICES:
            told = psutil.Process(pid_of(running, service)).environ()
            assert not set(told) & set(foreign)
            assert told["TOLLGATE_POSTGRES_DSN"] == endpoints["postgres"][service]
            text = json.dumps(told)
            for other in set(SERVICES) - {service}:
                assert secrets["bus"][other] not in text
                assert secrets["databases"][other] not in text
                assert secrets["master_keys"][other] not in text
            assert secrets["postgres_admin"] not in text
            assert secrets["nats_admin"] not in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing_running(data_dir: Path, number: signal.Signals) -> None:
    with up(data_dir) as running:
        running.wait_until_ready()

        assert running.stop(number) == 0

        assert processes_of(data_dir) == []
        assert not (data_dir / "endpoints.json").exists()
        assert "stopped" in running.output


def test_a_stop_in_the_middle_of_the_start_leaves_nothing_running(data_dir: Path) -> None:
    with up(data_dir) as running:
        running.wait_for((data_dir / "postgres" / "data").exists, "Postgres' files")

        assert running.stop() == 0

        assert processes_of(data_dir) == []


def test_a_kill_leaves_nothing_running_and_the_next_start_carries_on(data_dir: Path) -> None:
    with up(data_dir) as running:
        first = running.wait_until_ready()
        running.process.kill()
        running.process.wait()

    with up(data_dir) as running:
        second = running.wait_until_ready()
        assert second["pid"] != first["pid"]
        assert all_ready(running)
        assert running.stop() == 0
    assert_nothing_left(data_dir)


def test_a_killed_starter_alone_leaves_nothing_running(data_dir: Path) -> None:
    with up(data_dir) as running:
        running.wait_until_ready()
        running.process.kill()
        running.process.wait()
    assert_nothing_left(data_dir)


async def test_a_second_start_carries_on_where_the_first_one_was(data_dir: Path) -> None:
    with up(data_dir) as running:
        first = running.wait_until_ready()
        running.stop()
    with up(data_dir) as running:
        second = running.wait_until_ready()

        assert second["gateway"] == first["gateway"]
        assert second["postgres"] == first["postgres"]
        assert second["nats"] == first["nats"]
        assert running.output.count("migrated:") == len(SERVICES)


def test_each_part_that_is_killed_comes_back(data_dir: Path) -> None:
    with up(data_dir) as running:
        running.wait_until_ready()
        for part in PARTS:
            old = pid_of(running, part)
            os.kill(old, signal.SIGKILL)
            running.wait_for_output(f"{part:<9} was killed by SIGKILL; starting it again")
            running.wait_for(lambda part=part, old=old: pid_of(running, part) != old, part)
            running.wait_for(lambda: all_ready(running), f"readiness after {part}")
        assert running.stop() == 0
    assert processes_of(data_dir) == []


def test_a_taken_port_is_named_with_the_way_out(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with up(data_dir, "--port", str(port)) as running:
            assert running.process.wait(30) == 1
            assert f"port {port} is taken" in running.output
            assert "--port 0" in running.output
    assert processes_of(data_dir) == []


def test_the_gateway_listens_on_the_port_that_was_asked_for(data_dir: Path) -> None:
    port = free_port()
    with up(data_dir, "--port", str(port)) as running:
        assert running.wait_until_ready()["gateway"] == f"http://127.0.0.1:{port}"


def test_two_on_one_directory_are_refused(data_dir: Path) -> None:
    with up(data_dir) as running:
        running.wait_until_ready()
        with up(data_dir) as second:
            assert second.process.wait(30) == 1
            assert f"process {running.process.pid}" in second.output
        assert all_ready(running)


def test_a_directory_of_a_newer_release_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "tollgate.json").write_text('{"layout": 99, "made_by": "9.9"}')
    with up(data_dir) as running:
        assert running.process.wait(30) == 1
        assert "newer Tollgate (9.9" in running.output


def test_a_service_that_cannot_start_fails_the_start_with_its_last_words(data_dir: Path) -> None:
    environment = {**os.environ, "TOLLGATE_LOG_LEVEL": "loud"}
    with up(data_dir, environment=environment) as running:
        assert running.process.wait(60) == 1
        assert "TOLLGATE_LOG_LEVEL" in running.output
        assert "Traceback" not in running.output
    assert processes_of(data_dir) == []


def test_an_ordinary_user_runs_it(data_dir: Path) -> None:
    with up(data_dir, user=ordinary_user(data_dir.parent)) as running:
        running.wait_until_ready()
        uids = {psutil.Process(pid_of(running, part)).uids().real for part in PARTS}
        assert 0 not in uids
        assert all_ready(running)
        assert running.stop() == 0
    assert processes_of(data_dir) == []
