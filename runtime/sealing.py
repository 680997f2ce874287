"""Encrypted values: a data key per subject, sealed for one service, wrapped at rest.

All of it is JWE (RFC 7516) in compact form. To destroy a data key's wrapped form wherever it is
kept erases everything that it encrypts, copies on the bus included.
"""

import base64
import json
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

_CONTENT: Final = base64.urlsafe_b64encode(b'{"alg":"dir","enc":"A256GCM"}').rstrip(b"=")
"""The protected header of every value under a data key; any other is not ours, and not opened."""
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_HEADER_LENGTH_MAX: Final = 1_000
_SEALED: Final = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}
VALUE_BYTES_MAX: Final = 64 * 1024**2
"""The largest value that is encrypted: what is longer could not be opened again."""
_KEY_BYTES: Final = 32


class SealingError(Exception):
    """A value cannot be opened: the wrong key, or it was tampered with. Says nothing of it."""


@dataclass(frozen=True, repr=False)
class DataKey:
    """A 256-bit key for the values of one subject.

    `also` are keys that only open: what was encrypted before a rotation, or by a replica that is
    ahead in one.
    """

    raw: bytes
    also: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a key of another length."""
        if any(len(each) != _KEY_BYTES for each in (self.raw, *self.also)):
            raise SealingError(f"a data key has {_KEY_BYTES} bytes")

    @classmethod
    def generate(cls) -> "DataKey":
        """Return a new random key."""
        return cls(os.urandom(_KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> "DataKey":
        """Return the key that base64url text holds, as settings give it.

        Of several, with commas, the first encrypts and all of them open.
        """
        try:
            first, *others = (
                base64.urlsafe_b64decode(each + "=" * (-len(each) % 4)) for each in text.split(",")
            )
        except ValueError as error:
            raise SealingError("a key is not base64url") from error
        return cls(first, tuple(others))

    @property
    def last(self) -> bytes:
        """The last of the keys: what is derived from it stays the same while others are added."""
        return (self.raw, *self.also)[-1]

    @cached_property
    def _ciphers(self) -> list[AESGCM]:
        """The keys as the library wants them; a master key is read once, not for each value."""
        return [AESGCM(key) for key in (self.raw, *self.also)]

    def encrypt(self, value: bytes) -> str:
        """Return the value as a compact JWE; `SealingError` where it is too large to be opened."""
        if len(value) > VALUE_BYTES_MAX:
            raise SealingError(f"a value has at most {VALUE_BYTES_MAX} bytes")
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, value, _CONTENT)
        body, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        return ".".join(
            (_CONTENT.decode(), "", _base64url(nonce), _base64url(body), _base64url(tag))
        )

    def decrypt(self, ciphertext: str) -> bytes:
        """Return the value; `SealingError` where this key does not open it."""
        try:
            nonce, sealed = _parts(ciphertext)
        except ValueError as error:
            raise SealingError("the value cannot be opened with this key") from error
        for cipher in self._ciphers:
            with suppress(InvalidTag):
                return cipher.decrypt(nonce, sealed, _CONTENT)
        raise SealingError("the value cannot be opened with this key")

    def encrypt_json(self, value: Any) -> str:
        """Return a JSON value, encrypted."""
        return self.encrypt(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())

    def decrypt_json(self, ciphertext: str) -> Any:
        """Return the JSON value that was encrypted."""
        return json.loads(self.decrypt(ciphertext))

    def seal_for(self, public_jwk: str) -> str:
        """Return this key so that only the owner of the X25519 key pair can open it."""
        return seal(self.raw, public_jwk)

    @classmethod
    def open_sealed(cls, sealed: str, private_jwk: str) -> "DataKey":
        """Return the data key that was sealed for us."""
        return cls(open_sealed(sealed, private_jwk))

    def wrap(self, master: "DataKey") -> str:
        """Return this key encrypted under the service's master key, for keeping."""
        return master.encrypt(self.raw)

    @classmethod
    def unwrap(cls, wrapped: str, master: "DataKey") -> "DataKey":
        """Return the key that `wrap` put away."""
        return cls(master.decrypt(wrapped))


def seal(value: bytes, public_jwk: str) -> str:
    """Return the value sealed for the owner of an X25519 key pair (ECDH-ES, RFC 8037)."""
    ours = X25519PrivateKey.generate()
    shared = ours.exchange(_public_key(public_jwk))
    ephemeral = {
        "crv": "X25519",
        "x": _base64url(ours.public_key().public_bytes_raw()),
        "kty": "OKP",
    }
    header = _base64url(json.dumps({**_SEALED, "epk": ephemeral}).encode())
    content_key, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(content_key).encrypt(nonce, value, header.encode())
    wrapped = aes_key_wrap(_wrapping_key(shared), content_key)
    parts = (wrapped, nonce, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    return ".".join((header, *map(_base64url, parts)))


def open_sealed(sealed: str, private_jwk: str) -> bytes:
    """Return the value that was sealed for us; `SealingError` where it was not.

    Of a JWK set, the key that it was sealed for opens it.
    """
    for key in _private_keys(private_jwk):
        with suppress(ValueError, TypeError, KeyError, AttributeError, InvalidTag, InvalidUnwrap):
            return _open(sealed, key)
    raise SealingError("the value cannot be opened with this key")


@lru_cache(maxsize=8)
def _private_keys(private_jwk: str) -> tuple[X25519PrivateKey, ...]:
    return tuple(
        X25519PrivateKey.from_private_bytes(_from_base64url(str(key["d"]).encode()))
        for key in _sealing_keys(private_jwk)
    )


@lru_cache(maxsize=8)
def _public_key(public_jwk: str) -> X25519PublicKey:
    [key] = _sealing_keys(public_jwk)
    return X25519PublicKey.from_public_bytes(_from_base64url(str(key["x"]).encode()))


def _wrapping_key(shared: bytes) -> bytes:
    """Return the key that wraps the content's key: the Concat KDF of RFC 7518, 4.6.2, once."""
    name = _SEALED["alg"].encode()
    about = struct.pack(">I", len(name)) + name + bytes(8) + struct.pack(">I", _KEY_BYTES * 8)
    return sha256(struct.pack(">I", 1) + shared + about).digest()


@lru_cache(maxsize=8)
def _sealing_keys(jwk: str) -> tuple[OKPKey, ...]:
    """Return the keys of a JWK, or of a set of them; a process has the same few all its life."""
    value = json.loads(jwk)
    return tuple(OKPKey.import_key(key) for key in value.get("keys", [value]))


def check_private_key(text: str) -> None:
    """Raise `SealingError` where a text is no private X25519 JWK, nor a set of them."""
    try:
        value = json.loads(text)
        keys = [OKPKey.import_key(key) for key in value.get("keys", [value])]
        good = bool(keys) and all(key.is_private and key["crv"] == "X25519" for key in keys)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        good = False
    if not good:
        raise SealingError("a sealing key is a private JWK of type OKP, curve X25519, or a set")


def generate_sealing_key() -> tuple[str, str]:
    """Return a new X25519 key pair as JWK texts: (private, public)."""
    key = OKPKey.generate_key("X25519", auto_kid=True)
    return json.dumps(key.as_dict(private=True)), json.dumps(key.as_dict(private=False))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _parts(ciphertext: str) -> tuple[bytes, bytes]:
    """Return the nonce and the ciphertext with its tag; `ValueError` where it is no value of ours.

    RFC 7516 with `dir` and `A256GCM` (RFC 7518, 4.5 and 5.3): written out here, because a library
    for all of JWE took a tenth of the time that a deployment's request takes.
    """
    header, key, nonce, body, tag = ciphertext.encode().split(b".")
    if header != _CONTENT or key:
        raise ValueError("another algorithm")
    iv, mac = _from_base64url(nonce), _from_base64url(tag)
    if len(iv) != _NONCE_BYTES or len(mac) != _TAG_BYTES:
        raise ValueError("another length")
    return iv, _from_base64url(body) + mac


def _from_base64url(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _open(sealed: str, key: X25519PrivateKey) -> bytes:
    """Return the value (RFC 7516 with ECDH-ES+A256KW); `ValueError` where it was not for us."""
    protected, wrapped, *parts = sealed.encode().split(b".")
    if len(protected) > _HEADER_LENGTH_MAX:
        raise ValueError("another header")
    nonce, body, tag = map(_from_base64url, parts)
    header = json.loads(_from_base64url(protected))
    if {**header, "epk": None} != {**_SEALED, "epk": None}:
        raise ValueError("another algorithm")
    if (header["epk"]["kty"], header["epk"]["crv"]) != ("OKP", "X25519"):
        raise ValueError("another curve")
    if len(nonce) != _NONCE_BYTES or len(tag) != _TAG_BYTES:
        raise ValueError("another length")
    theirs = X25519PublicKey.from_public_bytes(_from_base64url(header["epk"]["x"].encode()))
    content_key = aes_key_unwrap(_wrapping_key(key.exchange(theirs)), _from_base64url(wrapped))
    return AESGCM(content_key).decrypt(nonce, body + tag, protected)
