"""Deployments, their builds and statuses."""

import json
from datetime import datetime
from typing import Any, Final

from runtime.connection import Connection

_COLUMNS: Final = """
    d.deployment_id as id, d.user_id, d.module_id, d.module_name,
    d.module_version as version, d.partner_id, d.project, d.variables, d.credit_cost,
    d.awarded_part, d.purchased_part, d.status, d.owns_resources, d.error, d.outputs,
    d.created_at, d.updated_at, k.wrapped as data_key, r.stars as rating"""
_FROM: Final = """
    from deployments d left join data_keys k on k.id = d.deployment_id
    left join ratings r using (deployment_id)
    where d.deployment_id = $1"""
_STATUS: Final = ("status", "at", "build_id")
_BUILD: Final = (
    *("id", "action", "version", "status", "executor", "created_at", "started_at", "finished_at"),
    "error",
)
_HOLD: Final = (
    *("status", "cost", "awarded_part", "purchased_part", "placed_at", "ended_at", "reason"),
    "refunded",
)
# One round trip instead of five: each costs more than what it reads.
_WHOLE: Final = f"""
    select {_COLUMNS},
           array(select row(status, at, build_id) from deployment_statuses s
                 where s.deployment_id = $1 order by sequence limit 200) as statuses,
           array(select row(build_id, action, module_version, status, executor, created_at,
                            started_at, finished_at, error)
                 from builds b where b.deployment_id = $1
                 order by created_at, build_id limit 200) as builds,
           array(select row(status, cost, awarded_part, purchased_part, placed_at, ended_at,
                            reason, refunded)
                 from holds h where h.deployment_id = $1
                 order by placed_at desc, hold_id desc limit 1) as holds
    {_FROM}"""  # noqa: S608 - both are ours


async def deployment_by_id(connection: Connection, deployment_id: str) -> dict[str, Any] | None:
    """Return a deployment with its encrypted values and the wrapped key to them, or nothing."""
    row = await connection.fetchrow(f"select {_COLUMNS} {_FROM}", deployment_id)
    return None if row is None else {**dict(row), "error": _loaded(row["error"])}


async def list_deployments(
    connection: Connection,
    *,
    user_id: str | None,
    search: str | None,
    status: str | None,
    module_id: str | None,
    project: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return deployments, the newest first: of one user, or of all without one.

    `search` is part of an id, of a module's name, of a status or of the user's address.
    """
    rows = await connection.fetch(
        """select d.deployment_id as id, d.user_id, a.email as user_email, d.module_id,
                  d.module_name, d.module_version as version, d.project, d.status, d.credit_cost,
                  d.awarded_part, d.purchased_part, d.error, d.created_at, d.updated_at
           from deployments d left join accounts a using (user_id)
           where ($1::text is null or d.user_id = $1)
             and ($2::text is null
                  or position(lower($2) in d.deployment_id) > 0
                  or position(lower($2) in lower(d.module_name)) > 0
                  or position(lower($2) in lower(d.status)) > 0
                  or position(lower($2) in lower(a.email)) > 0)
             and ($3::text is null or d.status = $3)
             and ($4::text is null or d.module_id = $4)
             and ($5::text is null or d.project = $5)
             and ($6::timestamptz is null or (d.created_at, d.deployment_id) < ($6, $7))
           order by d.created_at desc, d.deployment_id desc limit $8""",
        user_id,
        search,
        status,
        module_id,
        project,
        *(after or (None, None)),
        limit,
    )
    return [{**dict(row), "error": _loaded(row["error"])} for row in rows]


async def whole_deployment(connection: Connection, deployment_id: str) -> dict[str, Any] | None:
    """Return a deployment with all that belongs to it, as of one instant, or nothing.

    That is what `deployment_by_id` returns, `statuses` and `builds`, the first first and 200 at
    most, and the latest `hold`, or nothing.
    """
    row = await connection.fetchrow(_WHOLE, deployment_id)
    if row is None:
        return None
    holds = [dict(zip(_HOLD, each, strict=True)) for each in row["holds"]]
    builds = [dict(zip(_BUILD, each, strict=True)) for each in row["builds"]]
    return {
        **dict(row),
        "error": _loaded(row["error"]),
        "statuses": [dict(zip(_STATUS, each, strict=True)) for each in row["statuses"]],
        "builds": [{**build, "error": _loaded(build["error"])} for build in builds],
        "hold": holds[0] if holds else None,
    }


async def build_of(
    connection: Connection, deployment_id: str, build_id: str | None
) -> dict[str, Any] | None:
    """Return a build of a deployment: the one that is named, or the latest; else nothing."""
    row = await connection.fetchrow(
        """select build_id as id, status, finished_at from builds
           where deployment_id = $1 and ($2::text is null or build_id = $2)
           order by created_at desc, build_id desc limit 1""",
        deployment_id,
        build_id,
    )
    return None if row is None else dict(row)


async def counts_of(connection: Connection, user_id: str) -> tuple[int, int]:
    """Return how many deployments a user ever had, and how many own resources now."""
    row = await connection.fetchrow(
        """select coalesce((select deployments from deployment_counts
                            where kind = 'user' and key = $1), 0) as lifetime,
                  (select count(*) from deployments
                   where user_id = $1 and owns_resources) as active""",
        user_id,
    )
    return (0, 0) if row is None else (row["lifetime"], row["active"])


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)
