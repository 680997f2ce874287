"""The known name that somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

_CANDIDATES_MAX: Final = 500
_LENGTH_MAX: Final = 100


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, if one is like it at all."""
    candidates = list(islice(known, _CANDIDATES_MAX))
    found = get_close_matches(name[:_LENGTH_MAX], candidates, n=1, cutoff=0.6)
    return found[0] if found else None


def known_as(name: str, known: Iterable[str]) -> str:
    """Return a continuation of a sentence: `; did you mean “region”?`, or nothing."""
    found = nearest(name, known)
    return f"; did you mean `{found}`?" if found else ""
