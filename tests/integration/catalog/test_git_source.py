import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from services.catalog import git_source
from services.catalog.git_source import Fetched, GitLimits, RepositoryError, fetch
from services.catalog.repository_address import RemoteAddress, read_address, read_branch
from tests.integration.catalog.git_host import GitHost, Repository, serve
from tests.support.tools import program

LIMITS = GitLimits(seconds_max=20, bytes_max=10_000_000)
TOKEN = "glpat-Zm9vYmFy_0123456789"


@pytest.fixture(autouse=True)
def git() -> None:
    program("git")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with serve(tmp_path / "hosted") as host:
        yield host


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


async def fetched(
    url: str,
    folder: Path,
    *,
    branch: str | None = None,
    token: str | None = None,
    limits: GitLimits = LIMITS,
    allow_private: bool = True,
) -> Fetched:
    return await fetch(
        read_address(url, allow_local=True),
        branch=read_branch(branch),
        token=token,
        into=folder,
        limits=limits,
        allow_private=allow_private,
    )


async def test_the_newest_commit_of_a_branch_is_fetched(tmp_path: Path, folder: Path) -> None:
    repository = Repository.make(tmp_path / "modules", {"a": "1"})
    repository.git("switch", "--quiet", "--create", "release/1")
    release = repository.commit({"a": "2"})
    repository.git("switch", "--quiet", "main")
    found = await fetched(str(repository.path), folder, branch="release/1")
    assert found.commit == release
    assert not (found.git_directory.parent / "a").exists()


async def test_without_a_branch_it_is_the_repositorys_own(tmp_path: Path, folder: Path) -> None:
    repository = Repository.make(tmp_path / "modules", {"a": "1"})
    found = await fetched(f"file://{repository.path}", folder)
    assert found.commit == repository.git("rev-parse", "main")


async def test_a_token_opens_a_repository_and_is_left_nowhere(host: GitHost, folder: Path) -> None:
    repository = Repository.make(host.root / "private", {"a": "1"})
    host.token = TOKEN
    found = await fetched(host.url("private/.git"), folder, token=TOKEN)
    assert found.commit == repository.git("rev-parse", "main")
    written = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in content for content in written)
    assert TOKEN not in str(psutil.Process().environ())


async def test_a_token_is_never_an_argument(host: GitHost, folder: Path) -> None:
    Repository.make(host.root / "private", {"a": "1"})
    host.token = TOKEN
    host.answers.clear()
    reading = asyncio.create_task(fetched(host.url("private/.git"), folder, token=TOKEN))
    assert await asyncio.to_thread(host.asked.wait, 20)
    arguments = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # one that has ended meanwhile has no arguments any more
            arguments.append(" ".join(child.cmdline()))
    host.answers.set()
    await reading
    assert any("git" in line for line in arguments)
    assert not any(TOKEN in line for line in arguments)


@pytest.mark.parametrize(
    ("token", "message"),
    [(None, "does not exist, or needs a token"), ("wrong-token", "refuses the token")],
)
async def test_a_repository_that_wants_another_token_says_so(
    host: GitHost, folder: Path, token: str | None, message: str
) -> None:
    Repository.make(host.root / "private", {"a": "1"})
    host.token = TOKEN
    with pytest.raises(RepositoryError) as caught:
        await fetched(host.url("private/.git"), folder, token=token)
    assert str(caught.value) == f"{host.url('private/.git')} {message}"


async def test_what_is_not_there_is_named(host: GitHost, tmp_path: Path, folder: Path) -> None:
    repository = Repository.make(tmp_path / "modules", {"a": "1"})
    empty = Repository.make(tmp_path / "empty")
    for number, (url, branch, message) in enumerate(
        [
            (str(repository.path), "nope", f"{repository.path} has no branch nope"),
            (str(empty.path), None, f"{empty.path} has no commit"),
            ("/nonexistent/x", None, "/nonexistent/x is no repository"),
            (host.url("gone"), None, f"{host.url('gone')} is no repository"),
            ("https://no-such-host.invalid/x", None, "the host no-such-host.invalid is not found"),
        ]
    ):
        place = folder / str(number)
        place.mkdir()
        with pytest.raises(RepositoryError) as caught:
            await fetched(url, place, branch=branch)
        assert str(caught.value).startswith(message)


async def test_a_host_on_a_private_network_is_not_asked(host: GitHost, folder: Path) -> None:
    Repository.make(host.root / "modules", {"a": "1"})
    with pytest.raises(RepositoryError, match=r"127\.0\.0\.1 is not on the public internet"):
        await fetched(host.url("modules/.git"), folder, allow_private=False)
    assert not host.asked.is_set()


async def test_git_connects_to_just_the_addresses_that_were_checked(
    host: GitHost, folder: Path
) -> None:
    # Whatever a name means by the time that Git asks for it: this one means nothing at all.
    Repository.make(host.root / "modules", {"a": "1"})
    address = RemoteAddress(
        f"http://pinned.invalid:{host.port}/modules/.git", "pinned.invalid", host.port
    )
    git = git_source._Git(folder, LIMITS, token=None)
    git.write_configuration(address, ["::1", "127.0.0.1"], has_token=False)
    assert "refs/heads/main" in await git.run("ls-remote", address.url)


async def test_a_redirect_is_not_followed(host: GitHost, tmp_path: Path, folder: Path) -> None:
    with serve(tmp_path / "elsewhere") as elsewhere:
        Repository.make(elsewhere.root / "modules", {"a": "1"})
        host.redirect_to = f"http://127.0.0.1:{elsewhere.port}"
        with pytest.raises(RepositoryError):
            await fetched(host.url("modules/.git"), folder)
        assert not elsewhere.asked.is_set()


async def test_a_host_that_never_answers_is_given_up_with_all_its_processes(
    host: GitHost, folder: Path
) -> None:
    host.answers.clear()
    with pytest.raises(RepositoryError, match=r"did not answer within 0\.5 seconds"):
        await fetched(host.url("x"), folder, limits=GitLimits(seconds_max=0.5, bytes_max=10**6))
    assert _processes_in(folder) == []


async def test_a_cancelled_fetch_leaves_no_process(host: GitHost, folder: Path) -> None:
    host.answers.clear()
    reading = asyncio.create_task(fetched(host.url("x"), folder))
    assert await asyncio.to_thread(host.asked.wait, 20)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert _processes_in(folder) == []


async def test_git_ends_in_time_though_we_were_killed(host: GitHost, folder: Path) -> None:
    program("timeout")
    host.answers.clear()
    fetching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FETCHING, host.url("x"), str(folder)),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert await asyncio.to_thread(host.asked.wait, 20)
    gits = psutil.Process(fetching.pid).children(recursive=True)
    assert gits
    fetching.kill()
    await fetching.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, gits, timeout=30)
    assert alive == []


FETCHING = """\
import asyncio, sys
from pathlib import Path
from services.catalog.git_source import GitLimits, fetch
from services.catalog.repository_address import read_address
asyncio.run(fetch(
    read_address(sys.argv[1], allow_local=True), branch=None, token=None, into=Path(sys.argv[2]),
    limits=GitLimits(seconds_max=3, bytes_max=10**6), allow_private=True,
))
"""


async def test_a_repository_that_is_too_large_is_refused(tmp_path: Path, folder: Path) -> None:
    repository = Repository.make(tmp_path / "modules", {"noise": os.urandom(3_000_000)})
    with pytest.raises(RepositoryError, match="is larger than 1000000 bytes"):
        await fetched(
            str(repository.path), folder, limits=GitLimits(seconds_max=20, bytes_max=1_000_000)
        )


async def test_submodules_and_hooks_are_left_alone(tmp_path: Path, folder: Path) -> None:
    inner = Repository.make(tmp_path / "inner", {"a": "1"})
    outer = Repository.make(tmp_path / "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "sub")
    outer.commit()
    marker = tmp_path / "ran"
    for name in ("post-checkout", "reference-transaction", "post-upload-pack"):
        hook = outer.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    found = await fetched(str(outer.path), folder)
    assert found.commit == outer.git("rev-parse", "HEAD")
    assert not marker.exists()
    assert not (found.git_directory / "modules").exists()


async def test_configuration_of_the_machine_is_not_read(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository.make(tmp_path / "modules", {"a": "1"})
    configuration = tmp_path / "gitconfig"
    configuration.write_text(f'[url "/nonexistent"]\n\tinsteadOf = {repository.path}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert (await fetched(str(repository.path), folder)).commit


def _processes_in(folder: Path) -> list[str]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cwd().startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
