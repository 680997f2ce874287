"""Keys that follow from the master key, one for each purpose, and what is encrypted under it."""

import hashlib
import hmac
import json
from typing import Any

from runtime.sealing import DataKey


class Vault:
    """Everything the gateway does with its master key."""

    def __init__(self, master: DataKey) -> None:
        self._master = master

    def derived(self, purpose: str) -> bytes:
        """Return 32 bytes that are this purpose's own; they outlive a rotation: see `last`."""
        return hmac.digest(self._master.last, b"tollgate " + purpose.encode(), hashlib.sha256)

    def keyed_hash(self, purpose: str, *parts: str) -> bytes:
        """Return a hash that nobody without the master key can try values against."""
        text = json.dumps(parts, ensure_ascii=True, separators=(",", ":")).encode()
        return hmac.digest(self.derived(purpose), text, hashlib.sha256)

    def encrypt(self, value: str) -> str:
        """Return a text, encrypted."""
        return self._master.encrypt(value.encode())

    def decrypt(self, ciphertext: str) -> str:
        """Return the text that was encrypted."""
        return self._master.decrypt(ciphertext).decode()

    def wrap(self, key: DataKey) -> str:
        """Return a data key, encrypted for keeping."""
        return key.wrap(self._master)

    def seal_json(self, wrapped_key: str, value: Any) -> str:
        """Return a JSON value, encrypted under a data key."""
        return DataKey.unwrap(wrapped_key, self._master).encrypt_json(value)

    def open_json(self, wrapped_key: str, ciphertext: str) -> Any:
        """Return a JSON value that was encrypted under a data key."""
        return DataKey.unwrap(wrapped_key, self._master).decrypt_json(ciphertext)
