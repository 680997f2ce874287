"""A manifest: what is in a segment, in what order segments follow, and whose word that is.

The file is one JSON object in canonical form (keys sorted, no white space, UTF-8, a line feed at
the end). Its member `signature` is over the same object without it, in the same form without the
line feed. Each manifest names the SHA-256 of the whole file before it.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest as digest_of_file
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from runtime.signing import PublicKeys, SigningKey

FORMAT: Final = 1
"""Counted up when a segment or manifest is to be read differently."""

NO_MANIFEST: Final = "00" * 32
"""What the first manifest names as the one before it."""

MANIFEST_BYTES_MAX: Final = 256 * 1024 * 1024
_NAME: Final = re.compile(r"^manifest-(\d{9,})\.json$")
_SEGMENT: Final = re.compile(r"^segment-(\d{9,})-[0-9a-f]{16}\.parquet$")


class Span(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The facts of one stream in a segment: versions `first` to `last`, and the last one's hash."""

    stream: str
    first: int
    last: int
    hash: str

    @property
    def facts(self) -> int:
        """Return how many facts these are."""
        return self.last - self.first + 1


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a segment holds.

    `bytes` and `sha256` are the Parquet file's; `spans` are in the order of the streams' names'
    bytes, as the facts are; `first_at` and `last_at` are the earliest and latest `at` in it;
    `columns_version` says how the typed columns were made, 0 where there are none.
    """

    format: int
    number: int
    segment: str
    bytes: int
    sha256: str
    facts: int
    first_at: str
    last_at: str
    columns_version: int
    spans: tuple[Span, ...]
    previous: str
    sealed_at: str
    key_id: str


@dataclass(frozen=True)
class Signed:
    """A manifest and its file's exact bytes."""

    manifest: Manifest
    content: bytes

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the file, which the next manifest names."""
        return sha256(self.content).hexdigest()


class ManifestError(ValueError):
    """A manifest's file is not what a sealer wrote; the message says why."""


def manifest_name(number: int) -> str:
    """Return the name of a manifest's file."""
    return f"manifest-{number:09d}.json"


def segment_name(number: int, digest: str) -> str:
    """Return the name of a segment's file: its number, and how its SHA-256 begins."""
    return f"segment-{number:09d}-{digest[:16]}.parquet"


def number_of_manifest(name: str) -> int | None:
    """Return which manifest's file this is, if it is one."""
    match = _NAME.match(name)
    return None if match is None else int(match[1])


def number_of_segment(name: str) -> int | None:
    """Return which segment's file this is, if it is one."""
    match = _SEGMENT.match(name)
    return None if match is None else int(match[1])


def sign(manifest: Manifest, key: SigningKey) -> Signed:
    """Return the manifest's file."""
    values = msgspec.to_builtins(manifest)
    values["signature"] = key.sign(canonical(values)).hex()
    return Signed(manifest, canonical(values) + b"\n")


def open_manifest(content: bytes, keys: PublicKeys) -> Signed:
    """Return the manifest in a file, if every byte of it is what a known key signed."""
    values = _values(content)
    try:
        signature = values.pop("signature")
        manifest = msgspec.convert(values, Manifest)
        raw = bytes.fromhex(signature)
    except (ValueError, TypeError, KeyError) as error:
        raise ManifestError(f"it is no manifest ({type(error).__name__}): it was changed") from None
    if raw.hex() != signature:
        raise ManifestError("its signature is not in canonical form: it was changed")
    if manifest.key_id not in keys.keys:
        raise ManifestError(f"it is signed by a key that is not known, {manifest.key_id}")
    if not keys.signed(manifest.key_id, raw, canonical(values)):
        raise ManifestError("its signature does not cover what it says: it was changed")
    if manifest.format != FORMAT:
        raise ManifestError(f"it is of format {manifest.format}, and this release knows {FORMAT}")
    return Signed(manifest, content)


def decoded(content: bytes) -> Manifest:
    """Return what a manifest says that was found to be signed and whole before."""
    values = json.loads(content)
    del values["signature"]
    return msgspec.convert(values, Manifest)


def _values(content: bytes) -> dict[str, Any]:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        raise ManifestError("it is no JSON: it was changed") from None
    if not isinstance(values, dict) or _encoded(values) != content:
        raise ManifestError("it is not in canonical form: it was changed")
    return values


def _encoded(values: dict[str, Any]) -> bytes | None:
    try:
        return canonical(values) + b"\n"
    except UnicodeEncodeError:
        return None  # a lone half of a surrogate pair, which UTF-8 cannot hold


def canonical(values: dict[str, Any]) -> bytes:
    """Return a JSON object in canonical form."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def file_digest(path: Path) -> tuple[str, int]:
    """Return a file's SHA-256 in hexadecimal, and its size."""
    with path.open("rb") as file:
        return digest_of_file(file, "sha256").hexdigest(), file.tell()


def instant_text(at: datetime) -> str:
    """Return an instant as manifests write it: UTC, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
