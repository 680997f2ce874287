"""Cursors: opaque, signed, and good for the list and the filters that they were given for.

A cursor holds the last item's place in the list's order, so inserts before it move nothing.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from services.gateway.http.problems import ProblemError

LIMIT_DEFAULT: Final = 25
LIMIT_MAX: Final = 100
CURSOR_LENGTH_MAX: Final = 1_000
_SIGNATURE_BYTES: Final = 16

Key = tuple[Any, ...]


class Cursors:
    """Writes and reads cursors."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, scope: Mapping[str, Any], key: Key) -> str:
        """Return the cursor for what comes after the item with this key."""
        payload = msgspec.msgpack.encode(key)
        return base64.urlsafe_b64encode(self._sign(scope, payload) + payload).decode().rstrip("=")

    def read(self, scope: Mapping[str, Any], cursor: str | None, types: tuple[Any, ...]) -> Any:
        """Return the key in a cursor, or None without one; a 422 where it is not of this list.

        The key is a tuple of these types.
        """
        if cursor is None:
            return None
        padded = cursor[:CURSOR_LENGTH_MAX] + "=" * (-len(cursor) % 4)
        try:
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except ValueError as error:
            raise ProblemError("INVALID_CURSOR") from error
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(scope, payload)):
            raise ProblemError("INVALID_CURSOR")
        try:
            return msgspec.msgpack.decode(payload, type=tuple[types])  # type: ignore[valid-type]  # known at run time
        except msgspec.MsgspecError as error:
            raise ProblemError("INVALID_CURSOR") from error

    def _sign(self, scope: Mapping[str, Any], payload: bytes) -> bytes:
        text = msgspec.json.encode(dict(scope), order="sorted")
        message = len(text).to_bytes(4) + text + payload
        return hmac.digest(self._key, message, hashlib.sha256)[:_SIGNATURE_BYTES]


TIME_AND_ID: Final = (datetime, str)
"""The key of most lists: when, and which."""
