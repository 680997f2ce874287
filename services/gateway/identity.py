"""What a name, an e-mail address and a password may be."""

import re
import secrets
from typing import Final

from runtime.refusal import Refusal
from services.gateway.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN

EMAIL_LENGTH_MAX: Final = 254
NAME_LENGTH_MAX: Final = 200
_EMAIL: Final = re.compile(
    r"[^\s@\x00-\x1f\x7f\"(),:;<>\[\\\]]{1,64}@[A-Za-z0-9\u0080-\uffff]"
    r"[A-Za-z0-9.\u0080-\uffff-]{0,250}[A-Za-z0-9\u0080-\uffff]"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_CODE_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH: Final = 10


class IdentityRefusal(Refusal):
    """A name, an address or a password is not one; `pointer` names the field."""


def check_email(email: str) -> None:
    """Refuse what is no e-mail address; whether anybody reads it is not known here."""
    if len(email) > EMAIL_LENGTH_MAX or _EMAIL.fullmatch(email) is None or ".." in email:
        raise IdentityRefusal("INVALID_EMAIL", "is no e-mail address", pointer="/email")


def check_password(password: str, email: str) -> None:
    """Refuse a password that is too short, too long, or the address itself."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise IdentityRefusal(
            "INVALID_PASSWORD",
            f"must have {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters",
            pointer="/password",
        )
    if password.casefold() == email.casefold():
        raise IdentityRefusal(
            "INVALID_PASSWORD", "must not be the e-mail address", pointer="/password"
        )


def check_name(name: str | None) -> None:
    """Refuse a name that is empty, too long, or holds control characters."""
    if name is None:
        return
    if not name.strip() or len(name) > NAME_LENGTH_MAX or _CONTROL.search(name):
        raise IdentityRefusal(
            "INVALID_NAME",
            f"must have 1 to {NAME_LENGTH_MAX} characters, and no control characters",
            pointer="/name",
        )


def new_referral_code() -> str:
    """Return an unguessable code that people can read aloud."""
    return "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
