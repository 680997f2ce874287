"""Whatever is changed in a segment or a manifest is found, and named."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from runtime.segments.chain import BadFact
from runtime.segments.manifest import (
    FORMAT,
    NO_MANIFEST,
    Manifest,
    Span,
    file_digest,
    instant_text,
    manifest_name,
    segment_name,
    sign,
)
from runtime.segments.places import FolderPlace
from runtime.segments.segment import SegmentWriter
from runtime.signing import SigningKey
from runtime.store import FactRow
from services.ledger import columns
from services.ledger.sealing.origin import ORIGIN
from services.ledger.sealing.verification import verify_segments
from tests.unit.ledger.book import Book, award, hold, purchase, release, settle
from tests.unit.ledger.book import given as wallet
from tests.unit.ledger.segments import rows_of

KEY = SigningKey.read(json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)))
SEALED = 3
Tables = list[pa.Table]


@dataclass
class Sealed:
    """Segments in a folder, and the facts in each."""

    folder: Path
    rows: list[list[FactRow]]
    manifests: list[Manifest]

    def bad(self) -> BadFact | None:
        """Return what a verification names."""
        return verify_segments(FolderPlace(self.folder), KEY.public).first_bad

    def path(self, number: int) -> Path:
        """Return a segment's file, counted from 1."""
        return self.folder / self.manifests[number - 1].segment


def histories() -> dict[str, Book]:
    steps = [award("gift", 30), purchase("paid", 100, 9_999)]
    steps += [hold(f"d{number}", 20) for number in range(4)]
    steps += [settle("d0"), release("d1")]
    return {user: wallet(*steps) for user in ("ada", "bob", "cy")}


def write(folder: Path, parts: list[list[FactRow]]) -> Sealed:
    """Seal facts as the sealer does, without a database."""
    manifests: list[Manifest] = []
    previous = NO_MANIFEST
    for number, rows in enumerate(parts, 1):
        unnamed = folder / "unnamed"
        writer = SegmentWriter(unnamed, ORIGIN.columns)
        for start in range(0, len(rows), 4):
            writer.write(rows[start : start + 4])
        writer.close()
        digest, size = file_digest(unnamed)
        unnamed.rename(folder / segment_name(number, digest))
        streams = dict.fromkeys(row.stream for row in rows)
        spans = []
        for stream in streams:
            own = [row for row in rows if row.stream == stream]
            spans.append(Span(stream, own[0].version, own[-1].version, own[-1].hash.hex()))
        manifest = Manifest(
            format=FORMAT,
            number=number,
            segment=segment_name(number, digest),
            bytes=size,
            sha256=digest,
            facts=len(rows),
            first_at=instant_text(min(row.at for row in rows)),
            last_at=instant_text(max(row.at for row in rows)),
            columns_version=columns.VERSION,
            spans=tuple(spans),
            previous=previous,
            sealed_at=instant_text(rows[-1].at),
            key_id=KEY.key_id,
        )
        signed = sign(manifest, KEY)
        (folder / manifest_name(number)).write_bytes(signed.content)
        previous = signed.digest
        manifests.append(manifest)
    return Sealed(folder, parts, manifests)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    rows = rows_of(histories())
    early = [row for row in rows if row.version <= 3]
    later = [row for row in rows if 3 < row.version <= 6]
    last = [row for row in rows if row.version > 6]
    return write(tmp_path_factory.mktemp("segments"), [early, later, last])


def test_untouched_segments_fit(sealed: Sealed) -> None:
    result = verify_segments(FolderPlace(sealed.folder), KEY.public)
    assert result.ok, result.first_bad
    assert result.segments == SEALED
    assert result.events == result.sealed == sum(map(len, sealed.rows))


@pytest.fixture
def kept(sealed: Sealed) -> Iterator[None]:
    """Put every file back as it was."""
    before = {path: path.read_bytes() for path in sealed.folder.iterdir()}
    yield
    for path in sealed.folder.iterdir():
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


FILES = [(kind, number) for kind in ("manifest", "segment") for number in range(1, SEALED + 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    file=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255)
)
@example(file=("segment", 1), place=0.0, change=1)
@example(file=("manifest", 1), place=0.0, change=1)
def test_no_byte_of_any_file_can_be_changed_without_its_being_named(
    sealed: Sealed, file: tuple[str, int], place: float, change: int
) -> None:
    kind, number = file
    path = sealed.folder / manifest_name(number) if kind == "manifest" else sealed.path(number)
    content = path.read_bytes()
    changed = bytearray(content)
    changed[int(place * len(content))] ^= change
    path.write_bytes(changed)
    try:
        bad = sealed.bad()
    finally:
        path.write_bytes(content)
    assert bad is not None
    assert bad.place == path.name
    if kind == "segment":
        assert bad.stream is not None
        assert bad.version is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(file=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), data=st.data())
def test_no_file_can_be_cut_or_made_longer(
    sealed: Sealed, file: tuple[str, int], place: float, data: st.DataObject
) -> None:
    kind, number = file
    path = sealed.folder / manifest_name(number) if kind == "manifest" else sealed.path(number)
    content = path.read_bytes()
    where = int(place * len(content))
    more = data.draw(st.binary(min_size=1, max_size=9) | st.none())
    path.write_bytes(content[:where] if more is None else content[:where] + more + content[where:])
    try:
        bad = sealed.bad()
    finally:
        path.write_bytes(content)
    assert bad is not None
    assert bad.place == path.name


def changed_in(table: pa.Table, row: int, column: str, value: object) -> pa.Table:
    values = table.column(column).to_pylist()
    values[row] = value
    number = table.schema.get_field_index(column)
    field = table.schema.field(column)
    return table.set_column(number, field, pa.array(values, field.type))


def taken(table: pa.Table, order: list[int]) -> pa.Table:
    return table.take(order)


CHANGES: dict[str, Callable[[pa.Table, int], pa.Table]] = {
    "a body": lambda t, n: changed_in(
        t, n, "body", t.column("body")[n].as_py().replace('"balance"', '"balances"')
    ),
    "an actor": lambda t, n: changed_in(t, n, "actor", "x"),
    "a cause": lambda t, n: changed_in(t, n, "causation_id", "x"),
    "a hash": lambda t, n: changed_in(t, n, "hash", bytes(32)),
    "a version": lambda t, n: changed_in(t, n, "version", 77),
    "a stream": lambda t, n: changed_in(t, n, "stream", "wallet-x"),
    "a typed column": lambda t, n: changed_in(
        t, n, "purchased_after", t.column("purchased_after")[n].as_py() + 1
    ),
    "the slices": lambda t, n: changed_in(t, n, "user_id", "somebody"),
    "a fact removed": lambda t, n: taken(t, [i for i in range(t.num_rows) if i != n]),
    "a fact twice": lambda t, n: taken(t, [*range(n + 1), *range(n, t.num_rows)]),
    "two facts swapped": lambda t, n: taken(t, [*range(n), n + 1, n, *range(n + 2, t.num_rows)]),
}


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("row", [0, 4, 7])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("what", CHANGES)
def test_the_first_fact_that_was_changed_removed_put_in_or_swapped_is_named(
    sealed: Sealed, what: str, number: int, row: int
) -> None:
    path = sealed.path(number)
    table = CHANGES[what](pq.read_table(path), row)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    bad = sealed.bad()
    assert bad is not None
    expected = sealed.rows[number - 1][row + 1 if what == "a fact twice" else row]
    assert (bad.stream, bad.version, bad.place) == (expected.stream, expected.version, path.name)


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("kind", ["manifest", "segment"])
def test_a_file_that_is_missing_is_named(sealed: Sealed, kind: str, number: int) -> None:
    path = sealed.folder / manifest_name(number) if kind == "manifest" else sealed.path(number)
    path.unlink()
    bad = sealed.bad()
    if (kind, number) == ("manifest", SEALED):
        assert bad is None  # of files alone nobody can tell that there were more: the database can
        return
    assert bad is not None
    assert bad.place == path.name


@pytest.mark.usefixtures("kept")
def test_manifests_that_change_places_are_found(sealed: Sealed) -> None:
    one, two = (sealed.folder / manifest_name(number) for number in (1, 2))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    bad = sealed.bad()
    assert bad is not None
    assert bad.place == manifest_name(1)


@pytest.mark.usefixtures("kept")
def test_what_a_stranger_signs_anew_is_found(sealed: Sealed) -> None:
    stranger = SigningKey.read(json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)))
    for key_id in (stranger.key_id, KEY.key_id):
        forged = sign(replace_key(sealed.manifests[0], key_id), stranger)
        (sealed.folder / manifest_name(1)).write_bytes(forged.content)
        bad = sealed.bad()
        assert bad is not None
        assert bad.place == manifest_name(1)


def replace_key(manifest: Manifest, key_id: str) -> Manifest:
    values = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    return Manifest(**(values | {"key_id": key_id}))


def test_segments_that_leave_out_a_fact_are_found_although_they_are_signed(
    sealed: Sealed, tmp_path: Path
) -> None:
    parts = [sealed.rows[0], sealed.rows[1][1:]]
    bad = write(tmp_path, parts).bad()
    assert bad is not None
    assert (bad.stream, bad.place) == ("wallet-ada", manifest_name(2))


def test_a_fact_that_was_changed_before_it_was_sealed_is_found_although_it_is_signed(
    sealed: Sealed, tmp_path: Path
) -> None:
    rows = list(sealed.rows[0])
    rows[4] = replace(rows[4], actor="x")
    bad = write(tmp_path, [rows]).bad()
    assert bad is not None
    assert (bad.stream, bad.version) == (rows[4].stream, rows[4].version)
