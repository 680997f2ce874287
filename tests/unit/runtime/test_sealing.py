"""Encrypted values: only who should opens them, and a destroyed key erases them."""

import base64
import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey, OKPKey

from runtime.sealing import (
    VALUE_BYTES_MAX,
    DataKey,
    SealingError,
    generate_sealing_key,
    open_sealed,
    seal,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_what_was_encrypted_is_what_comes_back(value: object) -> None:
    key = DataKey.generate()
    assert key.decrypt_json(key.encrypt_json(value)) == value


@pytest.mark.parametrize("size", [65_536, 1_048_576, VALUE_BYTES_MAX])
def test_a_large_value_comes_back_too(size: int) -> None:
    key, value = DataKey.generate(), bytes(size)
    assert key.decrypt(key.encrypt(value)) == value


def test_what_could_not_be_opened_again_is_not_encrypted() -> None:
    with pytest.raises(SealingError, match="at most"):
        DataKey.generate().encrypt(bytes(VALUE_BYTES_MAX + 1))


@given(st.binary(max_size=200))
def test_a_value_is_a_jwe_as_any_library_writes_and_reads_it(value: bytes) -> None:
    key = DataKey.generate()
    same = OctKey.import_key(key.raw)
    assert jwe.decrypt_compact(key.encrypt(value), same).plaintext == value
    header = {"alg": "dir", "enc": "A256GCM"}
    assert key.decrypt(jwe.encrypt_compact(header, value, same)) == value


@given(st.binary(max_size=200))
def test_what_is_sealed_is_a_jwe_as_any_library_writes_and_reads_it(value: bytes) -> None:
    private, public = generate_sealing_key()
    registry = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"])
    sealed = jwe.decrypt_compact(
        seal(value, public), OKPKey.import_key(json.loads(private)), registry=registry
    )
    assert sealed.plaintext == value
    header = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}
    theirs = jwe.encrypt_compact(
        header, value, OKPKey.import_key(json.loads(public)), registry=registry
    )
    assert open_sealed(theirs, private) == value


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: [parts[0][:-1], *parts[1:]],
        lambda parts: [parts[0], "AA", *parts[2:]],
        lambda parts: [*parts[:2], parts[2][:-4], *parts[3:]],
        lambda parts: [*parts[:4], parts[4][:-4]],
        lambda parts: [*parts[:3], "é", parts[4]],
        lambda parts: [*parts[:3], parts[3] + "!", parts[4]],
        lambda parts: parts[:4],
        lambda parts: [*parts, ""],
    ],
)
def test_what_is_no_value_of_ours_is_refused(change: Callable[[list[str]], list[str]]) -> None:
    key = DataKey.generate()
    with pytest.raises(SealingError):
        key.decrypt(".".join(change(key.encrypt(b"value of a secret").split("."))))


@given(st.binary(max_size=200))
def test_another_key_opens_nothing(value: bytes) -> None:
    ciphertext = DataKey.generate().encrypt(value)
    with pytest.raises(SealingError):
        DataKey.generate().decrypt(ciphertext)


def test_a_changed_ciphertext_is_refused() -> None:
    key = DataKey.generate()
    *head, body, tag = key.encrypt(b"value of a secret").split(".")
    swapped = "A" if body[0] != "A" else "B"
    with pytest.raises(SealingError):
        key.decrypt(".".join([*head, swapped + body[1:], tag]))


def test_a_key_sealed_for_one_service_is_opened_by_that_one_only() -> None:
    private, public = generate_sealing_key()
    stranger, _ = generate_sealing_key()
    key = DataKey.generate()
    sealed = key.seal_for(public)
    assert DataKey.open_sealed(sealed, private) == key
    with pytest.raises(SealingError):
        DataKey.open_sealed(sealed, stranger)


def test_a_public_key_has_no_private_part() -> None:
    private, public = generate_sealing_key()
    assert '"d"' in private
    assert '"d"' not in public


def test_a_wrapped_key_comes_back_with_its_master_key_only() -> None:
    key, master = DataKey.generate(), DataKey.generate()
    assert DataKey.unwrap(key.wrap(master), master) == key
    with pytest.raises(SealingError):
        DataKey.unwrap(key.wrap(master), DataKey.generate())


def test_a_token_for_another_algorithm_is_refused() -> None:
    private, public = generate_sealing_key()
    with pytest.raises(SealingError):
        open_sealed(DataKey.generate().encrypt(b"x"), private)
    with pytest.raises(SealingError):
        DataKey.generate().decrypt(seal(b"x", public))


def test_a_key_never_shows_itself() -> None:
    key = DataKey(b"k" * 32)
    assert "kkk" not in repr(key)
    assert "kkk" not in str(key)


def texts(count: int) -> list[str]:
    """Return keys as settings give them."""
    return [
        base64.urlsafe_b64encode(DataKey.generate().raw).decode().rstrip("=") for _ in range(count)
    ]


def test_a_master_key_is_rotated_while_replicas_know_more_or_less_of_it() -> None:
    old, new = texts(2)
    steps = [old, f"{old},{new},{old}", f"{new},{old}"]
    for before, after in pairwise(DataKey.from_text(step) for step in steps):
        for writes, reads in ((before, after), (after, before)):
            assert reads.decrypt(writes.encrypt(b"kept")) == b"kept"
        assert before.last == after.last


def test_a_master_key_that_was_taken_away_opens_nothing_any_more() -> None:
    old, new = texts(2)
    kept = DataKey.from_text(f"{old},{new}").encrypt(b"kept")
    with pytest.raises(SealingError):
        DataKey.from_text(new).decrypt(kept)


def test_a_sealing_key_is_rotated_with_both_private_halves_known_for_a_while() -> None:
    (old_private, old_public), (private, public) = generate_sealing_key(), generate_sealing_key()
    both = json.dumps({"keys": [json.loads(private), json.loads(old_private)]})
    assert open_sealed(seal(b"kept", old_public), both) == b"kept"
    assert open_sealed(seal(b"kept", public), both) == b"kept"
    with pytest.raises(SealingError):
        open_sealed(seal(b"kept", old_public), private)
