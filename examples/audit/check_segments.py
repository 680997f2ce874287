"""Checks what `tollgate ledger export` gave, without a line of Tollgate's own code.

`python check_segments.py FOLDER`, with pyarrow and cryptography installed. It prints the head,
which stands for the whole ledger, or the first thing that is wrong. docs/ledger-format.md tells
the format.
"""

import hashlib
import json
import sys
from base64 import urlsafe_b64decode
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FOLDER = Path(sys.argv[1])
COVERED = ("stream", "version", "id", "at", "body", "actor", "correlation_id", "causation_id")
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def as_json(value: object) -> bytes:
    """Return the canonical form that is hashed and signed."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def check_facts(name: str, ends: dict[str, tuple[int, bytes]]) -> None:
    """Follow the chain of each stream through a file; `ends` is where each one is so far."""
    for batch in pq.ParquetFile(FOLDER / name).iter_batches(columns=[*COVERED, "hash"]):
        for fact in batch.to_pylist():
            version, previous = ends.get(fact["stream"], (0, bytes(32)))
            fact["at"] = (fact["at"] - EPOCH) // timedelta(microseconds=1)
            covered = as_json([fact[column] for column in COVERED])
            fits = hashlib.sha256(previous + covered).digest() == fact["hash"]
            if fact["version"] != version + 1 or not fits:
                sys.exit(f"{fact['stream']} {fact['version']} in {name} does not fit")
            ends[fact["stream"]] = (fact["version"], fact["hash"])


keys = {key["kid"]: key for key in json.loads((FOLDER / "keys.json").read_bytes())["keys"]}
ends: dict[str, tuple[int, bytes]] = {}
previous = "00" * 32
for number, path in enumerate(sorted(FOLDER.glob("manifest-*.json")), 1):
    manifest = json.loads(path.read_bytes())
    signature = bytes.fromhex(manifest.pop("signature"))
    key = urlsafe_b64decode(keys[manifest["key_id"]]["x"] + "=")
    Ed25519PublicKey.from_public_bytes(key).verify(signature, as_json(manifest))
    if (manifest["number"], manifest["previous"]) != (number, previous):
        sys.exit(f"{path.name} does not follow the manifest before it")
    if (
        hashlib.sha256((FOLDER / manifest["segment"]).read_bytes()).hexdigest()
        != manifest["sha256"]
    ):
        sys.exit(f"{manifest['segment']} is not what was sealed")
    check_facts(manifest["segment"], ends)
    for stream, _, version, last in manifest["spans"]:
        if ends[stream] != (version, bytes.fromhex(last)):
            sys.exit(f"{stream} does not end in {manifest['segment']} where its manifest says")
    previous = hashlib.sha256(path.read_bytes()).hexdigest()
check_facts("tail.parquet", ends)
lines = [f"{name} {ends[name][0]} {ends[name][1].hex()}\n" for name in sorted(ends, key=str.encode)]
sys.stdout.write(f"head {hashlib.sha256(''.join(lines).encode()).hexdigest()}\n")
