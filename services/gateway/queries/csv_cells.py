"""Cells of CSV, as SQL that Postgres writes them by."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

DOWNLOAD_SECONDS_MAX: Final = 900.0

Take = Callable[[bytes], Coroutine[Any, Any, None]]


def cell(expression: str) -> str:
    """Return SQL for a cell of text: in one line, and no formula to any spreadsheet."""
    line = f"regexp_replace({expression}, '[\\r\\n]+', ' ', 'g')"
    return f"case when {expression} ~ '^[=+@\\t\\r-]' then '''' || {line} else {line} end"


def instant(expression: str) -> str:
    """Return SQL for a cell of an instant: RFC 3339 in UTC."""
    return f"""to_char({expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
