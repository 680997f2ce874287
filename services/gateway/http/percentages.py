"""Percentages as the API writes them: decimal texts to 0.01 %. Inside they are basis points."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

_PERCENT: Final = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")
_WHOLE: Final = 10_000
_PATTERN: Final = r"^(100(\.00?)?|0?[0-9]{1,2}(\.[0-9]{1,2})?)$"
"""The same, for the description; what is wrong is said in words."""


def basis_points(text: str) -> int:
    """Return hundredths of a percent: 3000 for `"30.00"`; `ValueError` where it is none."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError('is a percentage such as "30.00", to 0.01')
    points = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if points > _WHOLE:
        raise ValueError("is more than 100 %")
    return points


def percentage(points: int) -> str:
    """Return `"30.00"` for 3000."""
    return f"{points // 100}.{points % 100:02}"


def _check(text: str) -> str:
    basis_points(text)
    return text


Percentage = Annotated[
    str,
    AfterValidator(_check),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["30.00"]}),
]
