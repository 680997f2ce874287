"""What passes between the service and the process that reads repositories: JSON, line by line."""

import msgspec

from services.catalog.definition import Definition, Problem


class KnownModule(msgspec.Struct, frozen=True, kw_only=True):
    """A module as it was read last; `paths` are what its `fingerprint` covers."""

    path: str
    fingerprint: str
    paths: tuple[str, ...]


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to read: a commit of a bare repository, but for the directories in `skip`.

    Of many directories that are to be read, a process reads every `shares`-th, the `share`-th
    first; of few, the first process reads all. Archives are written into `output_directory`.
    """

    git_directory: str
    commit: str
    repository_name: str
    known: tuple[KnownModule, ...]
    skip: tuple[str, ...]
    output_directory: str
    share: int = 0
    shares: int = 1


class Listed(msgspec.Struct, frozen=True, kw_only=True, tag="listed"):
    """The first answer: how many processes share what is to be read."""

    shares: int


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """A directory is being read; if nothing more is heard of it, it was too much."""

    path: str


class NoModule(msgspec.Struct, frozen=True, kw_only=True, tag="no_module"):
    """A directory that holds Terraform files is no module."""

    path: str


class Same(msgspec.Struct, frozen=True, kw_only=True, tag="same"):
    """A known module has not changed; nothing of it was read."""

    path: str


class Found(msgspec.Struct, frozen=True, kw_only=True, tag="found"):
    """A module that was read, and its source, which lies in `archive_file`."""

    path: str
    definition: Definition
    warnings: tuple[Problem, ...]
    fingerprint: str
    paths: tuple[str, ...]
    archive_file: str
    archive_folder: str


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """A directory that means to be a module and cannot be read as one."""

    path: str
    problems: tuple[Problem, ...]


class Unreadable(msgspec.Struct, frozen=True, kw_only=True, tag="unreadable"):
    """The repository as a whole cannot be read; nothing follows."""

    message: str


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """Every directory has been looked at; nothing follows."""


Answer = Listed | Started | NoModule | Same | Found | Refused | Unreadable | Finished
