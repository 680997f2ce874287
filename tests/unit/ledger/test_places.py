"""A place for segments keeps whole files: a directory and an object store behave the same."""

from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from runtime.segments.places import FolderPlace, ObjectPlace, Place, PlaceError, open_place


@pytest.fixture(params=["folder", "objects"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give either kind, empty; the objects' file system is pyarrow's own, on the disk."""
    root = tmp_path / "place"
    if request.param == "folder":
        return FolderPlace(root)
    root.mkdir()
    return ObjectPlace(LocalFileSystem(), str(root), "gs://bucket/place")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"x" * 3_000_000)
    return path


def test_what_is_put_can_be_read_listed_and_fetched(place: Place, source: Path) -> None:
    place.put("b", source)
    place.put("a", source)
    assert place.names() == ["a", "b"]
    assert place.read("a", 5) == b"xxxxx"
    with place.fetch("b") as path:
        assert path.read_bytes() == source.read_bytes()


def test_what_is_put_again_replaces(place: Place, source: Path) -> None:
    place.put("a", source)
    source.write_bytes(b"other")
    place.put("a", source)
    assert place.read("a", 100) == b"other"
    assert place.names() == ["a"]


def test_what_is_not_there_is_said_so(place: Place) -> None:
    assert place.names() == []
    place.remove("a")
    place.clean()
    with pytest.raises(FileNotFoundError):
        place.read("a", 1)


def test_what_is_removed_is_gone(place: Place, source: Path) -> None:
    place.put("a", source)
    place.remove("a")
    assert place.names() == []


def test_a_folder_hides_and_cleans_what_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-1").write_bytes(b"half")
    place = FolderPlace(tmp_path)
    assert place.names() == []
    place.clean()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_put_leaves_nothing(tmp_path: Path) -> None:
    place = FolderPlace(tmp_path / "place")
    with pytest.raises(IsADirectoryError):
        place.put("a", tmp_path)
    assert list((tmp_path / "place").iterdir()) == []


@pytest.mark.parametrize(
    "url", ["", "file://host/x", "file:x", "http://x/y", "gs:///x", "s3://", "/x"]
)
def test_what_is_no_address_of_a_place_is_refused(url: str) -> None:
    with pytest.raises(PlaceError):
        open_place(url)


def test_a_folder_is_opened_by_its_address(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    assert open_place(folder.as_uri()).url == folder.as_uri()
