"""Computes a payee's statement again, without a line of Tollgate's own code.

`python check_statement.py BUNDLE`, where `tollgate statement export` wrote, with cryptography
installed. It prints what the statement comes to, or the first thing that is wrong.
docs/statements.md tells the format; `rules.json` in the bundle the arithmetic.
"""

import hashlib
import json
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BUNDLE = Path(sys.argv[1])
COVERED = ("stream", "version", "id", "at", "body", "actor", "correlation_id", "causation_id")


def as_json(value: object, *, sort: bool) -> bytes:
    """Return what is hashed (as it stands) or signed (keys sorted)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort)
    return text.encode()


def ensure(fits: bool, what: str) -> None:  # noqa: FBT001 - a claim
    """End the program where something does not fit."""
    if not fits:
        sys.exit(what)


def worth(taken: dict[str, int]) -> int:
    """Return what a slice of a lot earned."""
    if taken["lot_kind"] != "purchase":
        return 0
    price, whole = taken["lot_price_minor"], taken["lot_credits"]
    return price * taken["end"] // whole - price * taken["start"] // whole


manifest = json.loads((BUNDLE / "manifest.json").read_bytes())
signature = bytes.fromhex(manifest.pop("signature"))
keys = {key["kid"]: key for key in json.loads((BUNDLE / "keys.json").read_bytes())["keys"]}
public = urlsafe_b64decode(keys[manifest["key_id"]]["x"] + "=")
Ed25519PublicKey.from_public_bytes(public).verify(signature, as_json(manifest, sort=True))
for name, digest in manifest["files"].items():
    found = hashlib.sha256((BUNDLE / name).read_bytes()).hexdigest()
    ensure(found == digest, f"{name} was changed")

streams: dict[str, list[tuple[str, dict]]] = {}
for line in (BUNDLE / "facts.jsonl").open("rb"):
    fact = json.loads(line)
    chain = streams.setdefault(fact["stream"], [])
    last = chain[-1][0] if chain else "00" * 32
    covered = as_json([fact[name] for name in COVERED], sort=False)
    computed = hashlib.sha256(bytes.fromhex(last) + covered).hexdigest()
    fits = fact["version"] == len(chain) + 1 and fact["hash"] == computed
    ensure(fits, f"{fact['stream']} {fact['version']} was changed")
    chain.append((fact["hash"], json.loads(fact["body"])))

sealed = streams[f"statement-{manifest['statement_id']}"][0][1]
statement, since, until = sealed["statement"], sealed["since"], sealed["until"]
payee = statement["payee_id"]
disputed_lots = set()
for name, chain in streams.items():
    known = [body for _, body in chain if name.startswith("dispute-") and body["at"] < until]
    if known and known[-1]["fact"] == "revenue_disputed":
        disputed_lots.add(known[-1]["lot_id"])

total = remainder = disputed = 0
parts = {"accrued": 0, "reversed": 0, "adjustments": 0}
digest = hashlib.sha256()
for sequence, (fact_hash, share) in enumerate(streams[f"payee-{payee}"], 1):
    lines = streams[f"revenue-{share['deployment_id']}"]
    earned = lines[share["line"] - 1][1]
    sign = -1 if earned["fact"] == "revenue_reversed" else 1
    revenue = sign * sum(worth(taken) for taken in earned["slices"])
    points = earned["hold"][f"{share['payee_role']}_basis_points"]
    minor, remainder = divmod(remainder + revenue * points, 10_000)
    total += minor
    ensure(earned["hold"][f"{share['payee_role']}_id"] == payee, f"share {sequence} is another's")
    ensure(minor == share["share_minor"], f"share {sequence} comes to {minor}")
    ensure(total == share["running_total_minor"], f"share {sequence} makes {total} in all")
    if share["recognized_at"] >= until:
        continue
    origin = lines[share["reverses"] - 1][1] if "reverses" in share else earned
    if any(taken["lot_id"] in disputed_lots and worth(taken) for taken in origin["slices"]):
        disputed += minor
    if share["recognized_at"] >= since:
        digest.update(f"{sequence} {fact_hash}\n".encode())
        late = "reversed" if origin["recognized_at"] >= since else "adjustments"
        parts[late if "reverses" in share else "accrued"] += minor

earlier = [
    chain[0][1]["statement"]
    for name, chain in sorted(streams.items())
    if name.startswith("statement-") and chain[0][1]["statement"]["period"] < statement["period"]
]
opening = earlier[-1]["carried_forward_minor"] if earlier else 0
balance = opening + sum(parts.values())
payable = max(0, balance - max(0, disputed))
computed = {
    **{f"{name}_minor": amount for name, amount in parts.items()},
    "opening_minor": opening,
    "balance_minor": balance,
    "payable_minor": payable,
    "carried_forward_minor": balance - payable,
    "disputed_minor": max(0, disputed),
    "lines_digest": f"sha256:{digest.hexdigest()}",
}
for name, value in computed.items():
    ensure(statement[name] == value, f"{name} is {statement[name]}, and comes to {value}")
sys.stdout.write(
    f"{statement['statement_id']} fits: balance {balance}, payable {payable}\n"
    f"signed by {manifest['key_id']}\n"
)
