"""Whether a webhook is Stripe's."""

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.stripe_signature import SignatureError, check_signature

SECRET = "whsec_for-tests-only"
BODY = b'{"id": "evt_1"}'
NOW = 1_800_000_000


def header(body: bytes = BODY, *, at: int = NOW, secret: str = SECRET) -> str:
    """Return what Stripe's own SDK makes of it."""
    made = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=at)
    assert isinstance(made, str)
    return made


def problem(body: bytes, given_header: str | None, now: int = NOW) -> str | None:
    try:
        check_signature(body, given_header, secret=SECRET, now=now)
    except SignatureError as error:
        return error.code
    return None


def test_what_the_sdk_signs_is_believed_for_five_minutes() -> None:
    assert problem(BODY, header()) is None
    assert problem(BODY, header(), now=NOW + 300) is None
    assert problem(BODY, header(), now=NOW + 301) == "SIGNATURE_TOO_OLD"
    assert problem(BODY, header(), now=NOW - 301) == "SIGNATURE_TOO_OLD"


def test_one_of_two_signatures_is_enough_while_a_secret_is_rolled() -> None:
    signed = header().partition("v1=")[2]
    assert problem(BODY, f"t={NOW},v1={'0' * 64},v1={signed}") is None


@pytest.mark.parametrize(
    "forged",
    [
        None,
        "",
        "nonsense",
        f"t={NOW}",
        f"t={NOW},v1=",
        f"t={NOW},v1={'0' * 64}",
        f"t={NOW},v0={'0' * 64}",
        f"t={NOW},t={NOW},v1={'0' * 64}",
        f"t=-1,v1={'0' * 64}",
        f"t={NOW},v1={'é' * 64}",
        "v1=" + "0" * 5000,
        header(secret="whsec_another"),
        header(BODY + b" "),
        header().replace(f"t={NOW}", f"t={NOW + 1}"),
    ],
)
def test_what_is_forged_is_not_believed(forged: str | None) -> None:
    assert problem(BODY, forged) == "BAD_SIGNATURE"


@given(st.binary(max_size=200))
def test_no_other_body_passes_under_a_good_signature(other: bytes) -> None:
    if other != BODY:
        assert problem(other, header()) == "BAD_SIGNATURE"


@given(st.text(max_size=200))
def test_no_header_breaks_it(text: str) -> None:
    assert problem(BODY, text) == "BAD_SIGNATURE"
