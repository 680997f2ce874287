import io
import tarfile
from pathlib import Path

import pytest

from runtime.archive import (
    ArchivedFile,
    ArchiveError,
    DamagedArchiveError,
    FolderStore,
    MissingArchiveError,
    UnsafeArchiveError,
    digest_of,
    extract,
    open_archive_store,
    pack,
)

FILES = {
    "main.tf": ArchivedFile(b"resource {}\n"),
    "scripts/run.sh": ArchivedFile(b"#!/bin/sh\n", executable=True),
    "größe.txt": ArchivedFile(b""),
    "deep/" * 30 + "file.txt": ArchivedFile(b"x"),
}


def test_the_same_files_make_the_same_archive_in_any_order() -> None:
    backwards = dict(reversed(FILES.items()))
    assert pack(FILES) == pack(backwards)
    assert digest_of(pack(FILES)) == (
        "sha256:d0883b7023dd7a8f434024722e7f99722ed4bf8d1b0d4acbe45350e454150bc1"
    )


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    extract(pack(FILES), tmp_path)
    found = {
        path.relative_to(tmp_path).as_posix(): path
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert {name: path.read_bytes() for name, path in found.items()} == {
        name: file.content for name, file in FILES.items()
    }
    assert found["scripts/run.sh"].stat().st_mode & 0o100
    assert not found["main.tf"].stat().st_mode & 0o100


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\\b", "a\0"]
)
def test_a_path_that_leads_elsewhere_is_not_packed(path: str) -> None:
    with pytest.raises(UnsafeArchiveError):
        pack({path: ArchivedFile(b"")})


def test_more_than_the_bounds_is_not_packed() -> None:
    with pytest.raises(UnsafeArchiveError, match="more than 10000 files"):
        pack({f"f{n}": ArchivedFile(b"") for n in range(10_001)})
    with pytest.raises(UnsafeArchiveError, match="bytes"):
        pack({"big": ArchivedFile(bytes(40 * 1024 * 1024))})


def archive_of(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "archive",
    [
        archive_of(member("../evil")),
        archive_of(member("/evil")),
        archive_of(member("a/../../evil")),
        archive_of(member("link", tarfile.SYMTYPE, "/etc/passwd")),
        archive_of(member("link", tarfile.LNKTYPE, "/etc/passwd")),
        archive_of(member("pipe", tarfile.FIFOTYPE)),
        archive_of(member("device", tarfile.CHRTYPE)),
        archive_of(member("folder", tarfile.DIRTYPE)),
        archive_of(member("twice"), member("twice")),
        archive_of(member("a"), member("a/b")),
        b"no archive at all",
        pack(FILES)[:700],
        bytes(65 * 1024 * 1024),
    ],
    ids=str.split("up root dotdot symlink hardlink pipe device folder twice over not cut bomb"),
)
def test_what_would_write_elsewhere_or_is_no_archive_is_refused(
    archive: bytes, tmp_path: Path
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(UnsafeArchiveError):
        extract(archive, inside)
    assert list(tmp_path.iterdir()) == [inside]


def test_a_link_that_is_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "main.tf").symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafeArchiveError):
        extract(pack({"main.tf": ArchivedFile(b"x")}), tmp_path / "inside")
    assert not (tmp_path / "outside").exists()


def test_a_store_gives_back_what_was_put(tmp_path: Path) -> None:
    store = open_archive_store(f"file://{tmp_path}/a%20store")
    archive = pack(FILES)
    digest = store.put(archive)
    assert store.put(archive) == digest == digest_of(archive)
    assert open_archive_store(f"file://{tmp_path}/a%20store").get(digest) == archive
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_store_never_gives_what_the_digest_does_not_name(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    digest = store.put(pack(FILES))
    [kept] = [path for path in tmp_path.rglob("*") if path.is_file()]
    kept.write_bytes(b"something else")
    with pytest.raises(DamagedArchiveError):
        store.get(digest)
    with pytest.raises(MissingArchiveError):
        store.get("sha256:" + "0" * 64)
    for odd in ("", "sha256:..", "sha256:" + "G" * 64, "md5:" + "0" * 64, "sha256:" + "0" * 63):
        with pytest.raises(ArchiveError):
            store.get(odd)


@pytest.mark.parametrize("url", ["ftp://x/y", "/srv", "", "file://relative/path", "gs://"])
def test_only_known_stores_are_opened(url: str) -> None:
    with pytest.raises(ArchiveError):
        open_archive_store(url)
