"""Whether a webhook is Stripe's: the scheme of the `Stripe-Signature` header.

`t=<Unix time>,v1=<hex>,…`: each `v1` is HMAC-SHA256 of `<t>.<body>` under a secret; while the
secret is rolled there are several. https://docs.stripe.com/webhooks#verify-manually
"""

import hmac
import re
from hashlib import sha256
from typing import Final, Literal

TOLERANCE_SECONDS: Final = 300
"""Stripe's own: an older signature may be a replay. So is one from the future."""
HEADER_LENGTH_MAX: Final = 2_000
SIGNATURES_MAX: Final = 10
_TIME: Final = re.compile(r"[0-9]{1,12}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")


class SignatureError(Exception):
    """The webhook is not to be believed; `code` says why."""

    def __init__(self, code: Literal["BAD_SIGNATURE", "SIGNATURE_TOO_OLD"]) -> None:
        super().__init__(code)
        self.code = code


def check_signature(body: bytes, header: str | None, *, secret: str, now: int) -> None:
    """Return if the body was signed with the secret at most five minutes ago.

    `body` must be as it came, byte for byte, and `now` is in Unix seconds. Raises `SignatureError`;
    that a signature is old is said only of a good one.
    """
    signed_at, signatures = _parts(header)
    expected = hmac.new(secret.encode(), f"{signed_at}.".encode() + body, sha256).hexdigest()
    if not any(hmac.compare_digest(expected, each) for each in signatures):
        raise SignatureError("BAD_SIGNATURE")
    if abs(now - int(signed_at)) > TOLERANCE_SECONDS:
        raise SignatureError("SIGNATURE_TOO_OLD")


def _parts(header: str | None) -> tuple[str, list[str]]:
    if header is None or len(header) > HEADER_LENGTH_MAX:
        raise SignatureError("BAD_SIGNATURE")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in pairs if name == "t" and _TIME.fullmatch(value)]
    found = [value for name, _, value in pairs if name == "v1" and _HEX.fullmatch(value)]
    if len(times) != 1 or not 0 < len(found) <= SIGNATURES_MAX:
        raise SignatureError("BAD_SIGNATURE")
    return times[0], found
