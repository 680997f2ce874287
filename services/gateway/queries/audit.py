"""Who did what when."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runtime.connection import Connection


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which entries are wanted, from `begin` to before `end`."""

    actor: str | None
    action: str | None
    begin: datetime | None
    end: datetime | None


_PART: Final = """
    (select id, at, actor, action, subject, details from {table}
     where ($1::text is null or actor = $1) and ($2::text is null or action = $2)
       and ($3::timestamptz is null or at >= $3) and ($4::timestamptz is null or at < $4)
       and ($5::timestamptz is null or (at, id) < ($5, $6))
     order by at desc, id desc limit $7)"""
_ALL: Final = f"{_PART.format(table='audited')} union all {_PART.format(table='acts')}"


async def list_audit(
    connection: Connection, wanted: AuditFilter, *, after: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """Return entries, the newest first."""
    rows = await connection.fetch(
        f"select * from ({_ALL}) as entries order by at desc, id desc limit $7",  # noqa: S608 - our own constant
        wanted.actor,
        wanted.action,
        wanted.begin,
        wanted.end,
        *(after or (None, None)),
        limit,
    )
    return [{**dict(row), "details": json.loads(row["details"])} for row in rows]
