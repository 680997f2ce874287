"""What a build sees from within its room: as root makes it, and as an ordinary user does."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from services.deployer.runner.namespaces import STATE_PORT, WAY_OUT_PORT
from tests.integration.deployer.modules import running
from tests.integration.deployer.processes import HandledDeployer
from tests.support.environment import Database, RunningNats
from tests.support.ordinary_user import ordinary_user
from tests.support.tools import lacking, program

ROOM_MODULE = "services.deployer.runner.try_room"
BUILD_UID = 61_706
"""A user of these tests alone: builds, those of other tests too, are begun as others."""
Look = Callable[[str], str]


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a folder that any user can reach, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="tollgate-rooms-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["root", "ordinary user"])
def look(request: pytest.FixtureRequest, base: Path) -> Look:
    """Give what runs a shell script in a room, and returns what it prints."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("only root can make a room as root")
    who = ordinary_user(base)
    more: dict[str, Any] = {"env": who.environment}
    if request.param == "ordinary user":
        if who.uid is not None:
            more |= {"user": who.uid, "group": who.uid, "extra_groups": []}
        trial = subprocess.run(["unshare", "--user", "true"], check=False, **more)
        if trial.returncode != 0:
            lacking("user namespaces", "the kernel makes none for an ordinary user")
    uid = str(BUILD_UID) if request.param == "root" else ""

    def run(script: str) -> str:
        words = [who.python, "-m", ROOM_MODULE, tempfile.mkdtemp(dir=base), uid]
        if request.param == "ordinary user" and who.uid is not None:
            os.chown(words[3], who.uid, who.uid)
        Path(words[3]).chmod(0o711)
        shell = program("bash")
        done = subprocess.run(
            [*words, shell, "-c", script],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=Path(__file__).resolve().parents[3],
            **more,
        )
        said: str = done.stdout + done.stderr
        return said

    return run


def tries_to_reach(*places: tuple[str, int]) -> str:
    """Return a script that says of each place whether it answers."""
    return "".join(
        f'(exec 3<>/dev/tcp/{host}/{port}) 2>/dev/null && echo "{port} answers" '
        f'|| echo "{port} is out of reach"\n'
        for host, port in places
    )


@pytest_asyncio.fixture
async def ports(
    database_for: Callable[[str], Awaitable[Database]], bus: RunningNats
) -> AsyncIterator[list[int]]:
    """Give the ports of a Postgres, a bus, and a service that listens on all addresses."""
    database = await database_for("deployer")
    with socket.create_server(("", 0)) as service:
        postgres, nats = urlsplit(database.dsn).port, urlsplit(bus.url).port
        assert postgres is not None
        assert nats is not None
        yield [postgres, nats, service.getsockname()[1]]


async def test_neither_postgres_nor_the_bus_nor_a_service_can_be_reached(
    look: Look, ports: list[int]
) -> None:
    own = socket.gethostbyname(socket.gethostname())
    for port in ports:
        with socket.create_connection(("127.0.0.1", port)):
            pass
    places = [(host, port) for host in ("127.0.0.1", own, "::1") for port in ports]
    said = look(tries_to_reach(*places))
    assert said.count("is out of reach") == len(places)
    assert "answers" not in said


def test_nothing_listens_but_the_state_and_the_way_out(look: Look) -> None:
    said = look(
        "cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp; cat /proc/net/unix; echo; ls -A /sys"
    )
    listening = [line.split()[1] for line in said.splitlines() if " 0A " in line]
    assert set(listening) <= {f"0100007F:{port:04X}" for port in (STATE_PORT, WAY_OUT_PORT)}
    assert "@" not in said


def test_sockets_by_name_and_by_path_of_others_are_not_there(look: Look, base: Path) -> None:
    path = base / "postgres.sock"
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as plain:
        named.bind("\0tollgate-test-of-rooms")
        named.listen()
        plain.bind(str(path))
        plain.listen()
        path.chmod(0o777)
        connect = (
            "import socket, sys\n"
            "for name in (chr(0) + 'tollgate-test-of-rooms', sys.argv[1]):\n"
            "    try: socket.socket(socket.AF_UNIX).connect(name); print('answers')\n"
            "    except OSError: print('is out of reach')\n"
        )
        said = look(f'{program("python3", "/usr/bin/python3")} -c "{connect}" {path}')
    assert said.split("\n")[:2] == ["is out of reach"] * 2


def test_no_other_process_is_seen_and_none_can_be_ended(look: Look) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        said = look(
            f"ls /proc | grep -c '^[0-9]'; cat /proc/{other.pid}/environ; kill -9 {other.pid}; "
            "kill -9 -1; echo still here"
        )
        assert other.poll() is None
        other.kill()
    # The shell, and `ls` and `grep` of its own.
    assert int(said.splitlines()[0]) <= 4
    assert "still here" in said


def test_files_of_ours_are_not_there_and_the_systems_cannot_be_written(
    look: Look, base: Path
) -> None:
    secret = base / "master-key"
    secret.write_text("not for builds")
    secret.chmod(0o644)
    said = look(
        f"cat {secret}; cat ../../master-key; ls {base} /root /home /run /var/lib; "
        "for place in / /usr /etc /dev; do touch $place/x && echo written; done; "
        "touch ~/mine /tmp/mine /var/tmp/mine /dev/shm/mine && echo own places are writable"
    )
    assert "not for builds" not in said
    assert "\nwritten" not in said
    assert "own places are writable" in said


def test_it_has_no_rights_to_make_more_of_itself(look: Look) -> None:
    said = look("grep -E 'Cap(Eff|Prm|Inh|Amb)|NoNewPrivs' /proc/self/status")
    rights = dict(line.split() for line in said.splitlines())
    assert {rights[f"Cap{kind}:"].strip("0") for kind in ("Eff", "Prm", "Inh", "Amb")} == {""}
    assert rights["NoNewPrivs:"] == "1"


def test_what_it_leaves_behind_ends_with_it_wherever_it_hid(look: Look) -> None:
    said = look("(setsid setsid nohup sleep 43219 >/dev/null 2>&1 &) ; sleep 0.2; echo done")
    assert "done" in said
    left = subprocess.run(["pgrep", "-f", "^sleep 43219"], check=False, capture_output=True)
    assert left.stdout == b""


class TestBuild:
    """A whole build, by a deployer on this machine."""

    async def test_a_module_reaches_neither_us_directly_nor_through_the_way_out(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        if not (await self._in_room(deployer)):
            lacking("namespaces", "this machine makes no rooms for builds")
        postgres = urlsplit(deployer.settings.postgres_dsn.get_secret_value()).port
        assert postgres is not None
        places = [("127.0.0.1", postgres), ("127.0.0.1", deployer.settings.builds_port)]
        script = tmp_path / "nosy"
        folder = running(script, "bash ./nosy.sh")
        asks = "".join(
            f"exec 3<>/dev/tcp/127.0.0.1/{WAY_OUT_PORT}; "
            f"printf 'CONNECT {host}:{port} HTTP/1.1\\r\\n\\r\\n' >&3; head -n 1 <&3\n"
            for host, port in [*places, ("localhost", postgres), ("169.254.169.254", 80)]
        )
        (folder / "nosy.sh").write_text(tries_to_reach(*places) + asks)
        deployment_id = await deployer.deploy(folder, {})
        assert await deployer.until_ended(deployment_id) == "build_succeeded"
        log = await deployer.log(deployment_id)
        assert log.count("is out of reach") == len(places)
        assert log.count("HTTP/1.1 403 builds may not reach") == len(places) + 2
        assert f"Not reachable from a build: 127.0.0.1, port {postgres}" in log
        assert "answers" not in log

    async def _in_room(self, deployer: HandledDeployer) -> bool:
        from services.deployer.isolation import isolation

        return isolation(deployer.settings.work_dir, BUILD_UID, None).in_room
