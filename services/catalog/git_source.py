"""A repository's commit, fetched with Git into a bare repository that nothing is checked out from.

Git runs in a process group of its own with an environment made here: no configuration but ours,
no hooks, no submodules, no other protocols, no redirects, and a connection to just those addresses
that were checked. A token reaches Git through its environment and leaves it only as the answer to
the host's question for a password.
"""

import asyncio
import contextlib
import math
import os
import re
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.catalog.repository_address import LocalAddress, RemoteAddress, is_public

RESOLVE_SECONDS_MAX: Final = 10
STDERR_BYTES_MAX: Final = 65_536
MEMORY_BYTES_MAX: Final = 4 * 1024**3
EXPLANATION_LENGTH_MAX: Final = 300
_REF: Final = "refs/tollgate/commit"
_TOKEN_VARIABLE: Final = "TOLLGATE_REPOSITORY_TOKEN"  # noqa: S105 - a name, no token
_PASSED_ON: Final = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# `ulimit -f` counts blocks of 512 bytes, `ulimit -v` kibibytes. Should we be killed, nobody is left
# to end Git but `timeout`, which stands in its process group; not every system has it.
_LIMITED: Final = (
    'ulimit -f "$1" && ulimit -v "$2" && seconds="$3" && shift 3 || exit; '
    "command -v timeout >/dev/null || seconds=; "
    'exec ${seconds:+timeout -s KILL "$seconds"} git "$@"'
)
_ORPHAN_SECONDS: Final = 5


class RepositoryError(Exception):
    """The repository cannot be read; the message says why, for its owner, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A commit in a bare repository."""

    git_directory: Path
    commit: str


@dataclass(frozen=True, slots=True)
class GitLimits:
    """How long Git may take for one command, and how large the repository's pack may be."""

    seconds_max: float
    bytes_max: int


class GitMissingError(Exception):
    """There is no `git` on this machine."""


async def fetch(
    address: RemoteAddress | LocalAddress,
    *,
    branch: str | None,
    token: str | None,
    into: Path,
    limits: GitLimits,
    allow_private: bool,
) -> Fetched:
    """Return the newest commit of a branch, fetched into the empty folder `into`.

    Raises `RepositoryError`. With `allow_private` the host may be on a private network.
    """
    git = await _configured(address, token, into, limits, allow_private=allow_private)
    source, reference = _source(address), _reference(branch)
    await git.run("init", "--quiet", "--bare", "--template=", str(git.directory))
    try:
        await git.run(
            *("--git-dir", str(git.directory), "fetch", "--quiet", "--depth=1", "--no-tags"),
            *("--no-recurse-submodules", "--no-auto-maintenance", "--no-write-fetch-head"),
            *("--", source, f"+{reference}:{_REF}"),
        )
    except _GitFailedError as error:
        if _is_full(git.directory, limits):
            message = f"{source} is larger than {limits.bytes_max} bytes"
            raise RepositoryError(message) from error
        raise RepositoryError(_explained(error, source, branch, token)) from error
    commit = await git.run(
        "--git-dir", str(git.directory), "rev-parse", "--verify", f"{_REF}^{{commit}}"
    )
    if _COMMIT.fullmatch(commit.strip()) is None:
        raise RepositoryError("the branch does not lead to a commit")
    return Fetched(git.directory, commit.strip())


async def newest_commit(
    address: RemoteAddress | LocalAddress,
    *,
    branch: str | None,
    token: str | None,
    into: Path,
    limits: GitLimits,
    allow_private: bool,
) -> str | None:
    """Return the id of a branch's newest commit, of which nothing is fetched; None if unknown.

    Needs a folder as `fetch` does, which may be used for that afterwards. Raises `RepositoryError`
    where the host cannot be asked at all.
    """
    git = await _configured(address, token, into, limits, allow_private=allow_private)
    reference = _reference(branch)
    try:
        listed = await git.run("ls-remote", "--quiet", "--", _source(address), reference)
    except _GitFailedError:
        # Fetching will say why.
        return None
    found = (line.partition("\t") for line in listed.splitlines())
    return next((commit for commit, _, name in found if name == reference), None)


async def _configured(
    address: RemoteAddress | LocalAddress,
    token: str | None,
    into: Path,
    limits: GitLimits,
    *,
    allow_private: bool,
) -> "_Git":
    """Return Git, configured for this one repository."""
    pinned = None
    if isinstance(address, RemoteAddress):
        pinned = await _checked_addresses(address, allow_private=allow_private)
    git = _Git(into, limits, token)
    git.write_configuration(address, pinned, has_token=token is not None)
    return git


def _source(address: RemoteAddress | LocalAddress) -> str:
    return address.url if isinstance(address, RemoteAddress) else address.path


def _reference(branch: str | None) -> str:
    return "HEAD" if branch is None else f"refs/heads/{branch}"


async def _checked_addresses(address: RemoteAddress, *, allow_private: bool) -> list[str]:
    """Return the host's IP addresses; all of them must be public, since any may be used."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS_MAX):
            found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise RepositoryError(f"the host {address.host} is not found") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(each) for each in addresses):
        raise RepositoryError(f"the host {address.host} is not on the public internet")
    return addresses


class _GitFailedError(Exception):
    def __init__(self, status: int, output: str) -> None:
        super().__init__(f"git ended with status {status}")
        self.status = status
        self.output = output


class _Git:
    """Git in a folder of its own, with nothing of ours in its environment but what is listed."""

    def __init__(self, folder: Path, limits: GitLimits, token: str | None) -> None:
        self.directory = folder / "repository.git"
        self._folder = folder
        self._limits = limits
        self._token = token

    def write_configuration(
        self, address: RemoteAddress | LocalAddress, pinned: list[str] | None, *, has_token: bool
    ) -> None:
        """Write the only configuration that Git will read."""
        lines = [
            *("[core]", "hooksPath = /dev/null", "bigFileThreshold = 1m", "fsmonitor = false"),
            *("[gc]", "auto = 0", "[maintenance]", "auto = false", "[pack]", "threads = 1"),
            *("[fetch]", "unpackLimit = 1", "[transfer]", "unpackLimit = 1"),
            *("[submodule]", "recurse = false", "[protocol]", "allow = never"),
        ]
        if isinstance(address, LocalAddress):
            lines += ['[protocol "file"]', "allow = always", "[safe]", "directory = *"]
        else:
            scheme = address.url.partition(":")[0]
            lines += [f'[protocol "{scheme}"]', "allow = always"]
            lines += ["[http]", "followRedirects = false", "lowSpeedLimit = 1000"]
            lines += ["lowSpeedTime = 30"]
            if pinned:
                hosts = ",".join(f"[{ip}]" if ":" in ip else ip for ip in pinned)
                lines.append(f"curloptResolve = {address.host}:{address.port}:{hosts}")
        if has_token:
            # Git runs this with a shell; the token itself stands only in its environment.
            helper = (
                f"printf 'username=x-access-token\\\\npassword=%s\\\\n' \\\"${_TOKEN_VARIABLE}\\\""
            )
            lines += ["[credential]", f'helper = "!f() {{ test \\"$1\\" != get || {helper}; }}; f"']
        path = self._folder / "configuration"
        path.write_text("\n".join(lines) + "\n")

    def _environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {
            "HOME": str(self._folder),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._folder / "configuration"),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        if self._token is not None:
            environment[_TOKEN_VARIABLE] = self._token
        return environment

    async def run(self, *arguments: str) -> str:
        """Return what Git printed; its whole process group ends with this call."""
        try:
            process = await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", _LIMITED, "sh"),
                *(str(self._limits.bytes_max // 512), str(MEMORY_BYTES_MAX // 1024)),
                str(math.ceil(self._limits.seconds_max) + _ORPHAN_SECONDS),
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment(),
                cwd=self._folder,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise GitMissingError("git cannot be run: is it installed?") from error
        try:
            async with asyncio.timeout(self._limits.seconds_max):
                output, errors = await asyncio.gather(
                    _read_bounded(process.stdout), _read_bounded(process.stderr)
                )
                status = await process.wait()
        except TimeoutError as error:
            await _end_group(process)
            raise RepositoryError(
                f"the repository did not answer within {self._limits.seconds_max:g} seconds"
            ) from error
        except BaseException:
            await _end_group(process)
            raise
        if status == _NOT_FOUND:
            raise GitMissingError("git cannot be run: is it installed?")
        if status != 0:
            raise _GitFailedError(status, errors)
        return output


_NOT_FOUND: Final = 127


async def _read_bounded(stream: asyncio.StreamReader | None) -> str:
    """Return the beginning of what comes; the rest is drained, so that nobody has to wait."""
    kept = bytearray()
    while stream is not None and (chunk := await stream.read(65_536)):
        kept += chunk[: max(0, STDERR_BYTES_MAX - len(kept))]
    return kept.decode("utf-8", "replace")


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the process group, and reap its leader."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _is_full(directory: Path, limits: GitLimits) -> bool:
    """Return whether the limit on the size of a file stopped Git, which cannot say so itself."""
    room = limits.bytes_max // 512 * 512
    return any(path.stat().st_size >= room for path in directory.rglob("*pack*") if path.is_file())


def _explained(
    error: _GitFailedError,
    where: str,
    branch: str | None,
    token: str | None,
) -> str:
    """Return what went wrong, as the repository's owner can act on it."""
    output = error.output if token is None else error.output.replace(token, "…")
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, output):
            what = "commit" if branch is None else f"branch {branch}"
            return f"{where} {meaning.format(what=what)}"
    fatal = [line for line in output.splitlines() if line.startswith(("fatal:", "error:"))]
    said = (fatal or output.splitlines() or ["git said nothing"])[-1]
    return f"{where} cannot be read: {said[:EXPLANATION_LENGTH_MAX]}"


_MEANINGS: Final = (
    (r"couldn't find remote ref", "has no {what}"),
    (r"[Oo]ut of memory|signal 9", "takes too much memory to read"),
    (r"could not read Username|terminal prompts", "does not exist, or needs a token"),
    (r"Authentication failed|returned error: 40[13]", "refuses the token"),
    (r"redirect", "redirects elsewhere: give its present address"),
    (
        r"not found|does not appear to be a git repository|does not exist",
        "is no repository, or its token may not see it",
    ),
)
"""What Git says, and what it means to the repository's owner; the first that fits counts."""
