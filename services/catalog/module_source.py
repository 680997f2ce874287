"""The source of a module: every file that Terraform needs to run it, as plain files.

That is the module's directory with all below it, and the directories of this repository that it
uses as local modules. Symbolic links are replaced by what they lead to, inside the repository.
"""

import posixpath
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from contracts.variables.expressions import parse
from contracts.variables.templates import NotUnderstoodError
from contracts.variables.values import NotConstantError, constant
from runtime.archive import ArchivedFile, UnsafeArchiveError, pack
from services.catalog.definition import ModuleRefusedError, Problem, refused
from services.catalog.git_objects import LINK, PROGRAM, SUBMODULE, TREE, Blobs, Entry
from services.catalog.terraform_blocks import Block
from services.catalog.terraform_directory import (
    is_for_tofu_alone,
    is_terraform,
    read_directory,
)
from services.catalog.terraform_files import raise_if_any

SOURCE_FILES_MAX: Final = 2_000
SOURCE_BYTES_MAX: Final = 20 * 1024 * 1024
FILE_BYTES_MAX: Final = 5 * 1024 * 1024
LINK_BYTES_MAX: Final = 4_096
LINKS_IN_A_ROW_MAX: Final = 8
USED_DIRECTORIES_MAX: Final = 100
VISITS_MAX: Final = 20_000
_NOT_SOURCE: Final = frozenset({".git", ".terraform", ".github", ".gitlab"})
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Source:
    """A module's archive, Terraform's folder in it, and the paths it was made from.

    `paths` are the repository's directories and files whose content decides that of the archive.
    """

    archive: bytes
    folder: str
    paths: tuple[str, ...]


class Tree:
    """A commit's entries, by path and by directory."""

    def __init__(self, entries: Sequence[Entry], root_id: str) -> None:
        self._entries = {entry.path: entry for entry in entries}
        self._entries[""] = Entry(path="", kind=TREE, object_id=root_id, size=0)
        self._children: dict[str, list[Entry]] = {"": []}
        for entry in entries:
            self._children.setdefault(posixpath.dirname(entry.path), []).append(entry)

    def get(self, path: str) -> Entry | None:
        """Return the entry at a path; the root's is empty."""
        return self._entries.get(path)

    def children(self, path: str) -> Sequence[Entry]:
        """Return what a directory holds."""
        return self._children.get(path, ())

    def directories(self) -> Iterator[str]:
        """Yield the directories that may be modules: all but the hidden ones."""
        for path in sorted(self._children):
            if not any(part.startswith(".") for part in path.split("/")):
                yield path


class SourceReader:
    """Reads files of a commit, within the bounds above."""

    def __init__(self, tree: Tree, blobs: Blobs) -> None:
        self._tree = tree
        self._blobs = blobs

    def plain_file(self, path: str, inside: str) -> tuple[Entry, bytes] | None:
        """Return the file that a path leads to, through links; None if it leads to a directory.

        `inside` is the module's directory: problems name files as seen from there.
        """
        entry = self._resolve(path, inside)
        if entry.kind == TREE:
            return None
        if entry.size > FILE_BYTES_MAX:
            raise refused(_seen_from(inside, path), 0, f"is larger than {FILE_BYTES_MAX} bytes")
        return entry, self._blobs.read(entry)

    def _resolve(self, path: str, inside: str) -> Entry:
        """Return the entry behind a path, following links that stay in the repository."""
        name = _seen_from(inside, path)
        for _ in range(LINKS_IN_A_ROW_MAX):
            entry = self._tree.get(path)
            if entry is None:
                raise refused(name, 0, "is a link to nothing in this repository")
            if entry.kind == SUBMODULE:
                raise refused(name, 0, "is a Git submodule; submodules are not read")
            if entry.kind != LINK:
                return entry
            if entry.size > LINK_BYTES_MAX:
                raise refused(name, 0, "is a link that is too long")
            target = self._blobs.read(entry).decode("utf-8", "backslashreplace")
            path = _joined(posixpath.dirname(path), target, name, "is a link that leads")
        raise refused(name, 0, "is a link to a link to a link, without an end")

    def own_files(
        self, directory: str, wanted: Collection[str], problems: list[Problem]
    ) -> dict[str, bytes]:
        """Return the directory's own Terraform files and those of the `wanted` names that it has.

        What keeps one of them from being read is added to `problems`.
        """
        files: dict[str, bytes] = {}
        for child in self._tree.children(directory):
            name = posixpath.basename(child.path)
            is_wanted = is_terraform(name) or is_for_tofu_alone(name) or name in wanted
            if child.kind == TREE or not is_wanted:
                continue
            try:
                found = self.plain_file(child.path, directory)
            except ModuleRefusedError as error:
                problems += error.problems
                continue
            if found is not None:
                files[name] = found[1]
        return files

    def source(self, directory: str, blocks: Sequence[Block]) -> Source:
        """Return the module's source, else `ModuleRefusedError` naming the file in the way."""
        used = self._used_directories(directory, blocks)
        outside = sorted(path for path in used if not _is_within(path, directory))
        files: dict[str, ArchivedFile] = {}
        paths = {directory, *outside}
        size_bytes = 0
        for root in (directory, *outside):
            for path, entry, content in self._files_below(root, directory):
                files[path] = ArchivedFile(content, executable=entry.kind == PROGRAM)
                size_bytes += len(content)
                if not any(_is_within(entry.path, known) for known in paths):
                    paths.add(entry.path)
                if len(files) > SOURCE_FILES_MAX:
                    raise refused(".", 0, f"the module has more than {SOURCE_FILES_MAX} files")
                if size_bytes > SOURCE_BYTES_MAX:
                    raise refused(".", 0, f"the module is larger than {SOURCE_BYTES_MAX} bytes")
        folder = directory if outside else ""
        if not outside:
            files = {_seen_from(directory, path): file for path, file in files.items()}
        try:
            return Source(pack(files), folder, tuple(sorted(paths)))
        except UnsafeArchiveError as error:
            raise refused(".", 0, f"the module cannot be archived: {error}") from error

    def _files_below(self, root: str, inside: str) -> Iterator[tuple[str, Entry, bytes]]:
        """Yield every file below a directory: its path, the entry behind it, its content."""
        visits_left = VISITS_MAX
        pending: list[tuple[str, str, int]] = [(root, root, 0)]
        while pending:
            shown, actual, links = pending.pop()
            for child in self._tree.children(actual):
                # Links to directories can multiply without a single file being found.
                visits_left -= 1
                if visits_left < 0:
                    raise refused(".", 0, f"the module has more than {VISITS_MAX} entries")
                name = posixpath.basename(child.path)
                path = posixpath.join(shown, name)
                if name in _NOT_SOURCE:
                    continue
                if "\\" in name:
                    raise refused(
                        name, 0, "has a backslash in its name, or a name that is not UTF-8"
                    )
                if child.kind == TREE:
                    pending.append((path, child.path, links))
                    continue
                found = self.plain_file(child.path, inside)
                if found is not None:
                    self._refuse_lfs(_seen_from(inside, path), found[1])
                    yield path, found[0], found[1]
                elif links >= LINKS_IN_A_ROW_MAX:
                    raise refused(_seen_from(inside, path), 0, "is a link to a directory around it")
                else:
                    target = self._resolve(child.path, inside)
                    pending.append((path, target.path, links + 1))

    def _refuse_lfs(self, name: str, content: bytes) -> None:
        if content.startswith(_LFS_POINTER):
            raise refused(name, 0, "is a Git LFS pointer, not the file itself")

    def _used_directories(self, directory: str, blocks: Sequence[Block]) -> set[str]:
        """Return the directories of all local modules that are used, by use or use of use."""
        found: set[str] = set()
        pending: list[tuple[str, Sequence[Block]]] = [(directory, blocks)]
        while pending:
            user, user_blocks = pending.pop()
            for block, source in _local_sources(user_blocks):
                name = _seen_from(directory, posixpath.join(user, block.file))
                used = _joined(user, source, name, f"module source `{source}` leads", block.line)
                entry = self._tree.get(used)
                if entry is None or entry.kind != TREE:
                    message = f"module source `{source}` is no directory of this repository"
                    raise refused(name, block.line, message)
                if used in found or used == directory:
                    continue
                found.add(used)
                if len(found) > USED_DIRECTORIES_MAX:
                    message = f"more than {USED_DIRECTORIES_MAX} local modules are used"
                    raise refused(name, block.line, message)
                pending.append((used, self._blocks_of(used, directory)))
        return found

    def _blocks_of(self, used: str, inside: str) -> Sequence[Block]:
        problems: list[Problem] = []
        blocks, _ = read_directory(self.own_files(used, (), problems), problems)
        folder = _seen_from(inside, used)
        raise_if_any(
            [
                msgspec.structs.replace(problem, file=posixpath.join(folder, problem.file))
                for problem in problems
            ]
        )
        return blocks


def _local_sources(blocks: Sequence[Block]) -> Iterator[tuple[Block, str]]:
    for block in blocks:
        source = block.attributes.get("source")
        if block.kind != "module" or source is None:
            continue
        try:
            value = constant(parse(source.text))
        except (NotUnderstoodError, NotConstantError):
            # Terraform takes constants only, and will say so itself.
            continue
        if isinstance(value, str) and value.startswith(("./", "../")):
            yield block, value


def _joined(base: str, relative: str, name: str, what: str, line: int = 0) -> str:
    """Return where a relative path leads, else a refusal if that is not in the repository."""
    if relative.startswith("/") or "\0" in relative:
        raise refused(name, line, f"{what} out of the repository")
    path = posixpath.normpath(posixpath.join(base, relative))
    if path == ".." or path.startswith("../"):
        raise refused(name, line, f"{what} out of the repository")
    return "" if path == "." else path


def _is_within(path: str, directory: str) -> bool:
    return directory in {"", path} or path.startswith(f"{directory}/")


def _seen_from(directory: str, path: str) -> str:
    """Return a path as its module's author sees it: relative to the module's directory."""
    return posixpath.relpath(path or ".", directory or ".")
