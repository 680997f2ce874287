"""Computes a statement again from its bundle alone, and says what does not fit.

What is in the folder is anybody's word until the signature and the chains are checked; nothing in
it is trusted to be complete either: each stream is there from its first fact on, or it is refused.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import money_rules
from runtime.segments.manifest import canonical, file_digest
from runtime.signing import PublicKeys
from services.revenue.bundle import (
    FACTS_NAME,
    FORMAT,
    KEYS_NAME,
    MANIFEST_NAME,
    RULES_NAME,
    BundleError,
)
from services.revenue.events import (
    DisputeFact,
    PayeeFact,
    RevenueDisputed,
    RevenueFact,
    RevenueReversed,
    ShareReversed,
)
from services.revenue.month_facts import Statement, StatementClosed
from services.revenue.months import PayeeFigures, statement_of

SMALL_BYTES_MAX: Final = 1024 * 1024
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
_COVERED: Final = ("stream", "version", "id", "at", "body", "actor", "correlation_id")
_NO_HASH: Final = "00" * 32

_PAYEE: Final = msgspec.json.Decoder(PayeeFact)
_REVENUE: Final = msgspec.json.Decoder(RevenueFact)
_DISPUTE: Final = msgspec.json.Decoder(DisputeFact)
_STATEMENT: Final = msgspec.json.Decoder(StatementClosed)


@dataclass(frozen=True)
class Checked:
    """A bundle that fits: the statement as it was sealed, which is what its facts come to."""

    statement: Statement
    facts: int
    key_id: str


@dataclass
class _Read:
    """The facts of a bundle, by what they are about."""

    shares: list[tuple[int, str, PayeeFact]] = field(default_factory=list)
    lines: dict[tuple[str, int], RevenueFact] = field(default_factory=dict)
    disputes: dict[str, list[DisputeFact]] = field(default_factory=dict)
    statements: dict[str, StatementClosed] = field(default_factory=dict)
    facts: int = 0


def check(folder: Path, keys: PublicKeys | None = None) -> Checked:
    """Return the statement of a bundle; `BundleError` names the first thing that does not fit.

    Without `keys` the signature is checked by those in the folder, which proves that nothing was
    changed since, but not by whom it was made.
    """
    try:
        manifest = _manifest(folder, keys)
        found = _read(folder)
        if found.facts != manifest["facts"]:
            raise BundleError(f"there are {found.facts} facts, and {manifest['facts']} were signed")
        sealed = found.statements.get(manifest["statement_id"])
        if sealed is None:
            raise BundleError("the statement is not among the facts")
        _check_lines(found)
        _check_shares(found, sealed.statement.payee_id)
        _check_statement(found, sealed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"it is no bundle: {error!r}") from error
    return Checked(sealed.statement, found.facts, manifest["key_id"])


def _manifest(folder: Path, keys: PublicKeys | None) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(_small(folder / MANIFEST_NAME))
    signature = bytes.fromhex(manifest.pop("signature"))
    if manifest["format"] != FORMAT:
        raise BundleError(f"its format is {manifest['format']}, not {FORMAT}")
    known = PublicKeys.read(_small(folder / KEYS_NAME).decode()) if keys is None else keys
    if not known.signed(manifest["key_id"], signature, canonical(manifest)):
        raise BundleError(f"no known key signed it; it names {manifest['key_id']}")
    if set(manifest["files"]) != {FACTS_NAME, RULES_NAME}:
        raise BundleError("its manifest names other files")
    for name, digest in manifest["files"].items():
        if file_digest(folder / name)[0] != digest:
            raise BundleError(f"{name} was changed since it was signed")
    return manifest


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(SMALL_BYTES_MAX + 1)
    if len(content) > SMALL_BYTES_MAX:
        raise BundleError(f"{path.name} is larger than {SMALL_BYTES_MAX} bytes")
    return content


def _read(folder: Path) -> _Read:
    found = _Read()
    for fact in _chained(folder / FACTS_NAME):
        found.facts += 1
        kind, _, name = fact["stream"].partition("-")
        body = fact["body"].encode()
        match kind:
            case "payee":
                found.shares.append((fact["version"], fact["hash"], _PAYEE.decode(body)))
            case "revenue":
                found.lines[name, fact["version"]] = _REVENUE.decode(body)
            case "dispute":
                found.disputes.setdefault(name, []).append(_DISPUTE.decode(body))
            case "statement":
                found.statements[name] = _STATEMENT.decode(body)
            case _:
                continue
    return found


def _chained(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the facts, each once it is known to follow from the one before it in its stream."""
    stream, version, last = "", 0, _NO_HASH
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX):
            fact: dict[str, Any] = json.loads(line)
            if fact["stream"] != stream:
                if fact["stream"] < stream:
                    raise BundleError(f"{fact['stream']} is out of order")
                stream, version, last = fact["stream"], 0, _NO_HASH
            covered = [*(fact[name] for name in _COVERED), fact["causation_id"]]
            text = json.dumps(covered, ensure_ascii=False, separators=(",", ":")).encode()
            fits = (
                fact["version"] == version + 1
                and fact["previous_hash"] == last
                and fact["hash"] == sha256(bytes.fromhex(last) + text).hexdigest()
            )
            if not fits:
                raise BundleError(f"{stream} {fact['version']} is not as it was written")
            version, last = fact["version"], fact["hash"]
            yield fact


def _check_lines(found: _Read) -> None:
    """Compute again what each line of revenue earned or took back."""
    for (deployment, line), fact in found.lines.items():
        sign = -1 if isinstance(fact, RevenueReversed) else 1
        worth = sign * sum(
            money_rules.slice_revenue(
                lot_kind=taken.lot_kind,
                price_minor=taken.lot_price_minor,
                lot_credits=taken.lot_credits,
                start=taken.start,
                end=taken.end,
            )
            for taken in fact.slices
        )
        if (fact.line, fact.true_revenue_minor) != (line, worth):
            raise BundleError(f"line {line} of {deployment} comes to {worth} minor units")


def _check_shares(found: _Read, payee_id: str) -> None:
    """Compute again what each line gave the payee, and the rounding from one line to the next."""
    total = remainder = 0
    for sequence, _, share in found.shares:
        line = found.lines.get((share.deployment_id, share.line))
        if line is None:
            raise BundleError(f"line {share.line} of {share.deployment_id} is missing")
        due = money_rules.payees(
            user_id=line.hold.user_id,
            partner_id=line.hold.partner_id,
            agent_id=line.hold.agent_id,
            partner_basis_points=line.hold.partner_basis_points,
            agent_basis_points=line.hold.agent_basis_points,
        )
        entitled = money_rules.Payee(payee_id, share.payee_role, share.share_basis_points)
        minor, after = money_rules.accrue(
            remainder=remainder,
            revenue_minor=line.true_revenue_minor,
            basis_points=share.share_basis_points,
        )
        total += minor
        computed = (line.true_revenue_minor, line.recognized_at, minor, remainder, after, total)
        told = (
            *(share.true_revenue_minor, share.recognized_at, share.share_minor),
            *(share.remainder_before, share.remainder_after, share.running_total_minor),
        )
        if entitled not in due or told != computed:
            raise BundleError(f"share {sequence} is {told}, and comes to {computed}")
        remainder = after


def _check_statement(found: _Read, sealed: StatementClosed) -> None:
    """Compute the statement again, from the shares up to the month's end."""
    statement = sealed.statement
    earlier = sorted(
        (each.statement for each in found.statements.values()), key=lambda each: each.period
    )
    earlier = [each for each in earlier if each.period < statement.period]
    disputed = _disputed(found, sealed.until)
    sums = dict.fromkeys(("before", "accrued", "reversed", "adjustments", "disputed"), 0)
    sequences, digest = [], sha256()
    for sequence, fact_hash, share in found.shares:
        if share.recognized_at >= sealed.until:
            continue
        earning = found.lines[share.deployment_id, share.line]
        if isinstance(share, ShareReversed):
            earning = found.lines[share.deployment_id, share.reverses]
        if share.recognized_at < sealed.since:
            sums["before"] += share.share_minor
        else:
            sequences.append(sequence)
            digest.update(f"{sequence} {fact_hash}\n".encode())
            sums[_part(share, earning, sealed.since)] += share.share_minor
        if disputed & {taken.lot_id for taken in earning.slices if taken.purchased}:
            sums["disputed"] += share.share_minor
    opening = earlier[-1].carried_forward_minor if earlier else 0
    paid = sum(each.payable_minor for each in earlier)
    if sums["before"] != paid + opening:
        raise BundleError(f"{sums['before']} were earned before, {paid} payable, {opening} carried")
    figures = PayeeFigures(
        payee_id=statement.payee_id,
        currency=statement.currency,
        paid_minor=paid,
        opening_minor=opening,
        lines=len(sequences),
        first_sequence=min(sequences, default=0),
        last_sequence=max(sequences, default=0),
        lines_digest=f"sha256:{digest.hexdigest()}",
        **{f"{name}_minor": amount for name, amount in sums.items()},
    )
    computed = statement_of(figures, statement.period)
    if computed != statement:
        raise BundleError(f"the statement is {statement}, and comes to {computed}")


def _part(share: PayeeFact, earning: RevenueFact, since: datetime) -> str:
    if not isinstance(share, ShareReversed):
        return "accrued"
    return "reversed" if earning.recognized_at >= since else "adjustments"


def _disputed(found: _Read, until: datetime) -> set[str]:
    """Return the lots whose disputes were open at an instant."""
    lots = set()
    for facts in found.disputes.values():
        known = [fact for fact in facts if fact.at < until]
        if known and isinstance(known[-1], RevenueDisputed):
            lots.add(known[-1].lot_id)
    return lots
