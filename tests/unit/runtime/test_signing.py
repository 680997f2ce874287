"""Who signed something can be told by anybody who has the public key, and only by its own key."""

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey

from runtime.signing import PublicKeys, SigningKey, SigningKeyError


def private(curve: Literal["Ed25519", "Ed448", "X25519"] = "Ed25519") -> str:
    return json.dumps(OKPKey.generate_key(curve).as_dict(private=True))


def test_a_signature_verifies_by_the_public_half_alone() -> None:
    key = SigningKey.read(private())
    known = PublicKeys.read(key.public.to_json())
    assert known.signed(key.key_id, key.sign(b"content"), b"content")
    assert "d" not in json.loads(key.public.to_json())["keys"][0]


@given(flipped=st.integers(0, 64 * 8 - 1))
def test_no_bit_of_a_signature_can_be_changed(flipped: int) -> None:
    key = SigningKey.read(KEY)
    signature = bytearray(key.sign(b"content"))
    signature[flipped // 8] ^= 1 << flipped % 8
    assert not key.public.signed(key.key_id, bytes(signature), b"content")


KEY = private()


def test_another_key_or_content_does_not_verify() -> None:
    key, other = SigningKey.read(private()), SigningKey.read(private())
    both = key.public | other.public
    assert not both.signed(other.key_id, key.sign(b"content"), b"content")
    assert not both.signed(key.key_id, key.sign(b"content"), b"contents")
    assert not other.public.signed(key.key_id, key.sign(b"content"), b"content")


def test_a_key_cannot_take_the_name_of_another() -> None:
    key = json.loads(private())
    assert SigningKey.read(json.dumps({**key, "kid": "theirs"})).key_id != "theirs"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kty": "OKP"}',
        private("X25519"),
        private("Ed448"),
        json.dumps(OctKey.generate_key(256).as_dict()),
        json.dumps(ECKey.generate_key("P-256").as_dict(private=True)),
        json.dumps(OKPKey.import_key(KEY and json.loads(KEY)).as_dict(private=False)),
    ],
    ids=["nothing", "list", "empty", "no key", "X25519", "Ed448", "secret", "EC", "public"],
)
def test_what_is_no_private_ed25519_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(SigningKeyError) as refused:
        SigningKey.read(text)
    secret = json.loads(text)["d"] if '"d"' in text else "d of nothing"
    assert secret not in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 3}', '{"keys": [3]}', "{}"])
def test_what_is_no_set_of_public_keys_is_refused(text: str) -> None:
    with pytest.raises(SigningKeyError):
        PublicKeys.read(text)
