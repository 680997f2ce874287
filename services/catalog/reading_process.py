"""The process that reads a repository's modules: `python -m services.catalog.reading_process`.

What it reads was written by strangers, and parsing it takes time and memory. So it is a process of
its own that holds no secret, limits itself, and can be killed without loss: it is told what to
read in one line on standard input, and tells what it found line by line.
"""

import os
import posixpath
import resource
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from services.catalog.definition import ModuleRefusedError, Problem
from services.catalog.git_objects import list_tree, open_blobs, root_tree_id
from services.catalog.git_source import RepositoryError
from services.catalog.module_reader import WANTED_FILES, may_be_module, read_module
from services.catalog.module_source import SourceReader, Tree
from services.catalog.reading_messages import (
    Answer,
    Finished,
    Found,
    Listed,
    NoModule,
    ReadRequest,
    Refused,
    Same,
    Started,
    Unreadable,
)
from services.catalog.terraform_directory import is_terraform
from services.catalog.terraform_files import raise_if_any, read_terraform

READER_VERSION: Final = 3
"""Counted up when the same files are to be read differently: then all modules are read anew."""

ENTRIES_MAX: Final = 50_000
PATH_LENGTH_MAX: Final = 400
FEW: Final = 8
"""Directories that one process reads sooner than a second one has started."""
MEMORY_BYTES_MAX: Final = 2 * 1024**3
REQUEST_BYTES_MAX: Final = 64 * 1024 * 1024


def read_repository(request: ReadRequest) -> Iterator[Answer]:
    """Yield what every directory of this share is, and at the end that it was the end."""
    git_directory = Path(request.git_directory)
    try:
        root_id = root_tree_id(git_directory, request.commit)
        entries = list_tree(git_directory, request.commit, entries_max=ENTRIES_MAX)
        tree = Tree(entries, root_id)
        same = {
            module.path
            for module in request.known
            if tree.get(module.path) is not None
            and fingerprint(tree, module.paths) == module.fingerprint
        }
        to_read = [path for path in tree.directories() if path not in same]
        shares = request.shares if len(to_read) > FEW else 1
        yield Listed(shares=shares)
        skipped = set(request.skip)
        if request.share == 0:
            yield from (Same(path=path) for path in sorted(same - skipped))
        with open_blobs(git_directory) as blobs:
            reader = SourceReader(tree, blobs)
            for path in to_read[request.share :: shares]:
                if path not in skipped:
                    yield from _read_directory(request, tree, reader, path)
    except RepositoryError as error:
        yield Unreadable(message=f"the repository {error}")
        return
    yield Finished()


def _read_directory(
    request: ReadRequest, tree: Tree, reader: SourceReader, path: str
) -> Iterator[Answer]:
    problems: list[Problem] = []
    files = reader.own_files(path, WANTED_FILES, problems)
    if not may_be_module(files):
        # A file that would have made it a module may be the one that cannot be read.
        if any(problem.file in WANTED_FILES[:1] for problem in problems):
            yield Refused(path=path, problems=tuple(problems))
        elif any(map(is_terraform, files)):
            yield NoModule(path=path)
        return
    yield Started(path=path)
    try:
        raise_if_any(problems)
        if len(path) > PATH_LENGTH_MAX:
            raise_if_any([Problem(file=".", line=0, message="has a path that is too long")])
        module = read_module(posixpath.basename(path) or request.repository_name, files)
        if module is None:
            yield NoModule(path=path)
            return
        source = reader.source(path, module.blocks)
    except ModuleRefusedError as error:
        yield Refused(path=path, problems=error.problems)
        return
    mark = fingerprint(tree, source.paths)
    archive_file = Path(request.output_directory) / mark
    archive_file.write_bytes(source.archive)
    yield Found(
        path=path,
        definition=module.definition,
        warnings=module.warnings,
        fingerprint=mark,
        paths=source.paths,
        archive_file=str(archive_file),
        archive_folder=source.folder,
    )


def fingerprint(tree: Tree, paths: tuple[str, ...]) -> str:
    """Return what changes whenever the content of these paths does, or how we read it."""
    digest = sha256(f"reader {READER_VERSION}\0".encode())
    for path in sorted(paths):
        entry = tree.get(path)
        place = f"{path}\0{entry.kind} {entry.object_id}\0" if entry else f"{path}\0gone\0"
        digest.update(place.encode())
    return digest.hexdigest()


def main() -> None:
    """Read what standard input asks for."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = MEMORY_BYTES_MAX if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    request = msgspec.json.decode(sys.stdin.buffer.read(REQUEST_BYTES_MAX), type=ReadRequest)
    # Nothing but answers goes to standard output, whatever a library prints.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # The parser builds its tables at its first use: no module's time is to be spent on that.
    read_terraform("first.tf", b"")
    encoder = msgspec.json.Encoder()
    for answer in read_repository(request):
        answers.write(encoder.encode(answer) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
