"""Cells of CSV, as SQL that Postgres writes them by."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

DOWNLOAD_SECONDS_MAX: Final = 900.0

Take = Callable[[bytes], Coroutine[Any, Any, None]]


def cell(expression: str) -> str:
    """Return SQL for a cell of text: in one line, and no formula to any spreadsheet."""
    line = f"translate({expression}, e'\\r\\n', '  ')"
    formula = f"left({expression}, 1) = any (array['=', '+', '@', '-', e'\\t', e'\\r'])"
    return f"case when {formula} then '''' || {line} else {line} end"


def instant(expression: str) -> str:
    """Return SQL for a cell of an instant: RFC 3339 in UTC."""
    return f"replace(({expression} at time zone 'UTC')::text, ' ', 'T') || 'Z'"
