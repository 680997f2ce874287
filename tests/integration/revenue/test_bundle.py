"""A statement's bundle: anybody can compute the statement again, and sees what was changed."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from contracts.ledger import v1 as ledger
from runtime.segments.manifest import canonical
from runtime.signing import PublicKeys, SigningKey
from services.revenue.bundle import BundleError, export
from services.revenue.bundle_check import check
from services.revenue.verification import verify
from tests.integration.revenue.conftest import Revenue
from tests.integration.revenue.settlements import (
    EMPTY,
    JUNE,
    MAY,
    Wallet,
    hold,
    purchased,
    settled,
)
from tests.integration.revenue.test_closing import Finance, refunded

NO_KEYS = PublicKeys()
PROGRAM = Path(__file__).parents[3] / "examples" / "audit" / "check_statement.py"


def a_key() -> SigningKey:
    return SigningKey.read(json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)))


KEY = a_key()


@pytest.fixture
async def bundle(revenue: Revenue, tmp_path: Path) -> Path:
    """June's statement of Pia: a line of May was taken back, and one of June is disputed."""
    finance, wallet = Finance(revenue), Wallet()
    first = hold(purchased(0, 20), deployment="d1", partner="pia", agent="arno")
    await revenue.take(wallet.says(settled(first, at=MAY)))
    await finance.attest("2026-05", recognized=2_000, hold_settled=1)
    await finance.close("2026-05")
    dispute = ledger.DisputeOpened(
        user_id="ursula",
        balance=EMPTY,
        dispute_id="dp-1",
        lot_id="lot-2",
        bonus_lot_id=None,
        amount_minor=10_000,
        currency="USD",
        slices=(),
        payment_id=None,
        reason="fraudulent",
    )
    other = purchased(0, 7).model_copy(update={"lot_id": "lot-2"})
    await revenue.take(
        wallet.says(refunded(first, 15, 20, JUNE)),
        wallet.says(settled(hold(purchased(20, 63), deployment="d2", partner="pia"), at=JUNE)),
        wallet.says(settled(hold(other, deployment="d3", partner="pia"), at=JUNE)),
        wallet.says(dispute, at=JUNE),
    )
    await finance.attest(
        "2026-06",
        recognized=5_000,
        reversed_=500,
        hold_settled=2,
        settlement_refunded=1,
        dispute_opened=1,
    )
    closed = await finance.close("2026-06")
    assert closed[-1]["data"].get("statements") == 2, closed
    folder = tmp_path / "bundle"
    await export(revenue.dsn, "2026-06-pia", KEY, NO_KEYS, folder)
    return folder


async def test_a_statement_is_computed_again_from_its_bundle_alone(bundle: Path) -> None:
    found = check(bundle, KEY.public)
    statement = found.statement
    assert (statement.accrued_minor, statement.adjustments_minor) == (1_500, -150)
    assert (statement.disputed_minor, statement.payable_minor) == (210, 1_140)
    assert statement.carried_forward_minor == 210
    assert check(bundle).key_id == KEY.key_id


async def test_a_program_of_somebody_elses_comes_to_the_same(bundle: Path) -> None:
    done = subprocess.run(
        (sys.executable, str(PROGRAM), str(bundle)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "payable 1140" in done.stdout


async def test_what_is_not_there_and_what_is_in_the_way_is_told(
    bundle: Path, revenue: Revenue, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="is not empty"):
        await export(revenue.dsn, "2026-06-pia", KEY, NO_KEYS, bundle)
    with pytest.raises(BundleError, match="no statement"):
        await export(revenue.dsn, "2026-06-nobody", KEY, NO_KEYS, tmp_path / "other")
    with pytest.raises(BundleError, match="no known key"):
        check(bundle, a_key().public)
    with pytest.raises(BundleError, match="no bundle"):
        check(tmp_path / "nowhere")


def rechained(facts: list[dict[str, Any]]) -> None:
    """Make the hashes fit again, as somebody would who changes facts."""
    names = ("stream", "version", "id", "at", "body", "actor", "correlation_id", "causation_id")
    ends: dict[str, tuple[int, str]] = {}
    for fact in facts:
        version, last = ends.get(fact["stream"], (0, "00" * 32))
        fact["version"], fact["previous_hash"] = version + 1, last
        text = json.dumps([fact[name] for name in names], ensure_ascii=False, separators=(",", ":"))
        fact["hash"] = sha256(bytes.fromhex(last) + text.encode()).hexdigest()
        ends[fact["stream"]] = (version + 1, fact["hash"])


def signed_again(folder: Path, facts: list[dict[str, Any]], key: SigningKey) -> None:
    content = b"".join(canonical(fact) + b"\n" for fact in facts)
    (folder / "facts.jsonl").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["signature"]
    manifest["facts"] = len(facts)
    manifest["files"]["facts.jsonl"] = sha256(content).hexdigest()
    signature = key.sign(canonical(manifest)).hex()
    (folder / "manifest.json").write_bytes(canonical({**manifest, "signature": signature}))


def in_body(stream: str, was: str, now: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(facts: list[dict[str, Any]]) -> None:
        found = [fact for fact in facts if fact["stream"] == stream and was in fact["body"]]
        assert found
        for fact in found:
            fact["body"] = fact["body"].replace(was, now)

    return change


def without(stream: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(facts: list[dict[str, Any]]) -> None:
        last = max(n for n, fact in enumerate(facts) if fact["stream"] == stream)
        del facts[last]

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (in_body("revenue-d2", '"lot_price_minor":10000', '"lot_price_minor":9000'), "comes to"),
        (in_body("payee-pia", '"share_minor":210', '"share_minor":211'), "comes to"),
        (in_body("payee-pia", '"share_basis_points":3000', '"share_basis_points":3001'), "comes"),
        (in_body("statement-2026-06-pia", '"payable_minor":1140', '"payable_minor":1350'), "comes"),
        (in_body("dispute-dp-1", "lot-2", "lot-3"), "comes to"),
        (without("payee-pia"), "comes to"),
        (without("revenue-d3"), "is missing"),
        (without("statement-2026-05-pia"), "were earned before"),
        (without("statement-2026-06-pia"), "not among the facts"),
    ],
)
async def test_what_does_not_follow_is_found_even_if_it_is_chained_and_signed(
    bundle: Path, change: Callable[[list[dict[str, Any]]], None], match: str
) -> None:
    facts = [json.loads(line) for line in (bundle / "facts.jsonl").read_bytes().splitlines()]
    change(facts)
    rechained(facts)
    signed_again(bundle, facts, KEY)
    with pytest.raises(BundleError, match=match):
        check(bundle, KEY.public)


async def test_a_changed_byte_is_found(bundle: Path) -> None:
    for name in ("facts.jsonl", "rules.json", "manifest.json"):
        content = (bundle / name).read_bytes()
        middle = len(content) // 2
        changed = bytes((content[middle] ^ 1,))
        (bundle / name).write_bytes(content[:middle] + changed + content[middle + 1 :])
        with pytest.raises(BundleError):
            check(bundle, KEY.public)
        (bundle / name).write_bytes(content)
    check(bundle, KEY.public)


async def test_a_broken_chain_is_found_though_it_was_signed(bundle: Path) -> None:
    facts = [json.loads(line) for line in (bundle / "facts.jsonl").read_bytes().splitlines()]
    in_body("month-2026-06", '"statements":2', '"statements":3')(facts)
    signed_again(bundle, facts, KEY)
    with pytest.raises(BundleError, match="not as it was written"):
        check(bundle, KEY.public)


async def test_all_that_is_stored_fits_with_every_statement(bundle: Path, revenue: Revenue) -> None:
    found = await verify(revenue.dsn, None, NO_KEYS)
    assert (found.misfits, found.statements) == ((), 4)
    stored = await revenue.running.pool.fetchval("select count(*) from facts")
    assert found.facts == stored
    ends = await revenue.running.pool.fetch(
        """select name, version, encode(last_hash, 'hex') as hash from streams
           where version > 0 order by name collate "C\""""
    )
    told = "".join(f"{row['name']} {row['version']} {row['hash']}\n" for row in ends)
    assert found.head == sha256(told.encode()).hexdigest()
    assert bundle.exists()


@pytest.mark.parametrize(
    ("forgery", "code"),
    [
        ("delete from facts where stream = 'revenue-d3'", "CHAIN_BROKEN"),
        ("delete from facts where stream = 'statement-2026-05-arno'", "CHAIN_BROKEN"),
        ("update statements set payable_minor = 1 where period = '2026-05'", "BALANCES_DIFFER"),
        ("update disputes set lot_id = 'lot-1'", "BALANCES_DIFFER"),
        ("update revenue_lines set credit_cost = 1, true_revenue_minor = 1", "LINES_DIFFER"),
    ],
)
async def test_what_was_changed_by_hand_is_found(
    bundle: Path, revenue: Revenue, forgery: str, code: str
) -> None:
    await revenue.forge(forgery)
    assert code in {each.code for each in (await verify(revenue.dsn, None, NO_KEYS)).misfits}
    assert bundle.exists()
