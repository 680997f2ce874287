"""The embedded Postgres: as root both ways, as an ordinary user, over crashes and versions."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from devkit.identity import NOBODY, NoIdentityError
from devkit.ports import free_port
from devkit.postgres import DataVersionError, PostgresServer, major_version
from devkit.program import Child, as_user, end, start, wait_until_ready
from tests.support.folders import reachable_folder
from tests.support.ordinary_user import ordinary_user

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do it")

Home = Path


@pytest.fixture
def home() -> Iterator[Home]:
    """A folder below one that an ordinary user can pass through, as `tollgate up` makes it."""
    with reachable_folder() as folder:
        yield folder / "postgres"


@contextmanager
def running(server: PostgresServer) -> Iterator[Child]:
    server.prepare()
    child = start(server.program())
    try:
        wait_until_ready(child, partial(server.is_ready, child.pid))
        yield child
    finally:
        end(child)


def server_in(home: Path) -> PostgresServer:
    return PostgresServer(
        home=home, port=free_port(), password="s3/c:r@t", log=home.parent / "postgres.log"
    )


async def ask(server: PostgresServer, question: str) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_it_is_durable_and_listens_on_the_loopback_address_only(home: Home) -> None:
    server = server_in(home)
    with running(server):
        assert await ask(server, "show fsync") == "on"
        assert await ask(server, "show synchronous_commit") == "on"
        assert await ask(server, "show listen_addresses") == "127.0.0.1"
        assert await ask(server, "show unix_socket_directories") == ""


async def test_nobody_connects_without_the_password(home: Home) -> None:
    server = server_in(home)
    with running(server):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn(password="wrong"))
        assert await ask(server, "show password_encryption") == "scram-sha-256"
    assert not (home / "password").exists()


@as_root
@pytest.mark.parametrize("owner", [0, NOBODY], ids=["user namespace", "user id"])
async def test_root_runs_it_as_an_ordinary_user_either_way(home: Home, owner: int) -> None:
    home.mkdir(mode=0o700)
    os.chown(home, owner, owner)
    server = server_in(home)
    for _ in range(2):
        with running(server) as child:
            assert await ask(server, "select 1") == 1
            assert (home / "data").stat().st_uid == owner
            seen_uid = Path(f"/proc/{child.pid}").stat().st_uid
            assert seen_uid == owner


@as_root
def test_a_directory_of_another_user_is_refused(home: Home) -> None:
    home.mkdir()
    os.chown(home, 12_345, 12_345)
    with pytest.raises(NoIdentityError, match="belongs to user 12345"):
        server_in(home).prepare()


@as_root
def test_where_no_way_works_the_message_says_what_to_do(home: Home) -> None:
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    home.parent.chmod(0o700)
    with pytest.raises(NoIdentityError, match="choose a --data-dir that user 65534 can reach"):
        server_in(home).prepare()


def test_an_ordinary_user_runs_it(home: Home) -> None:
    """As root, another user is taken for it: one that can reach a Python of this version."""
    script = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from tests.integration.devkit.test_postgres_launcher import running, server_in\n"
        "import os; assert os.geteuid() != 0\n"
        "server = server_in(Path(sys.argv[1]))\n"
        "with running(server): print('up as', server.identity.way)\n"
    )
    user = ordinary_user(home.parent)
    told = subprocess.run(
        [user.python, "-c", script, str(home)],
        check=False,
        env=user.environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home.parent,
        **as_user(user.uid),
    )
    assert told.stdout.strip() == "up as self", told.stderr


async def test_a_second_start_finds_what_the_first_one_wrote(home: Home) -> None:
    server = server_in(home)
    with running(server):
        await ask(server, "create table kept as select 7 as number")
    with running(server):
        assert await ask(server, "select number from kept") == 7


async def test_after_a_kill_it_comes_back_with_everything_committed(home: Home) -> None:
    server = server_in(home)
    with running(server) as child:
        await ask(server, "create table kept as select 7 as number")
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
    with running(server):
        assert await ask(server, "select number from kept") == 7


async def test_a_server_left_behind_by_a_killed_starter_is_ended(home: Home) -> None:
    server = server_in(home)
    with ExitStack() as stack:
        left_behind = stack.enter_context(running(server))
        with running(server):
            assert left_behind.process.wait(10) == 0
            assert await ask(server, "select 1") == 1


async def test_a_pid_file_that_names_a_stranger_does_not_stop_a_start(home: Home) -> None:
    server = server_in(home)
    with running(server):
        pass
    (home / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{home / 'data'}\n0\n{1}\n\n\n")
    with running(server):
        assert await ask(server, "select 1") == 1


async def test_an_initialisation_that_was_cut_short_is_done_again(home: Home) -> None:
    (home / "data.unfinished" / "base").mkdir(parents=True)
    server = server_in(home)
    with running(server):
        assert await ask(server, "select 1") == 1


def test_files_of_another_major_version_are_refused(home: Home) -> None:
    server = server_in(home)
    server.prepare()
    (home / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(DataVersionError, match=f"Postgres 17, .* Postgres {major_version()}"):
        server.prepare()
