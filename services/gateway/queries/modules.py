"""Modules that somebody may see: the platform's, the public ones, and a partner's own."""

import json
from typing import Any, Final, Literal

from contracts.catalog.v1 import Definition
from runtime.connection import Connection

Sort = Literal["title", "newest", "cost"]

_CARD: Final = """
    select m.module_id as id, m.source, m.partner_id, p.name as partner_name, m.version, m.name,
           m.title, m.description, m.documentation, m.tags, m.credit_cost, m.premium,
           m.public_access, m.updated_at, m.withdrawn_at,
           coalesce(c.deployments, 0) as deployment_count
    from modules m
    left join accounts p on p.user_id = m.partner_id
    left join deployment_counts c on c.kind = 'module' and c.key = m.module_id"""
_VISIBLE: Final = "(m.source = 'admin' or m.public_access or m.partner_id = $1)"
_ORDER: Final[dict[str, tuple[str, str]]] = {
    "title": ("(m.title, m.module_id) > ($6::text, $7)", "m.title, m.module_id"),
    "cost": ("(m.credit_cost, m.module_id) > ($6::bigint, $7)", "m.credit_cost, m.module_id"),
    "newest": (
        "(m.updated_at, m.module_id) < ($6::timestamptz, $7)",
        "m.updated_at desc, m.module_id desc",
    ),
}
SORT_KEYS: Final = {"title": "title", "cost": "credit_cost", "newest": "updated_at"}


async def list_modules(
    connection: Connection,
    viewer: str,
    *,
    source: str | None,
    search: str | None,
    tag: str | None,
    sort: Sort,
    after: tuple[Any, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return the modules that can be deployed and that the viewer may see, in order."""
    beyond, order = _ORDER[sort]
    rows = await connection.fetch(
        f"""{_CARD}
        where {_VISIBLE} and m.withdrawn_at is null
          and ($2::text is null or m.source = $2)
          and ($3::text is null or position(lower($3) in lower(m.title)) > 0
               or position(lower($3) in lower(m.name)) > 0
               or position(lower($3) in lower(m.description)) > 0)
          and ($4::text is null or $4 = any (m.tags))
          and (not $5::boolean or {beyond})
        order by {order} limit $8""",
        viewer,
        source,
        search,
        tag,
        after is not None,
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def visible_module(
    connection: Connection, viewer: str, module_id: str
) -> dict[str, Any] | None:
    """Return a module that the viewer may see, withdrawn or not; else nothing."""
    row = await connection.fetchrow(
        f"{_CARD} where {_VISIBLE} and m.module_id = $2", viewer, module_id
    )
    return None if row is None else dict(row)


async def module_version(
    connection: Connection, module_id: str, version: int
) -> dict[str, Any] | None:
    """Return one version of a module with its `definition`, or nothing."""
    row = await connection.fetchrow(
        """select version, definition, repository, path, commit_id, published_at
           from module_versions where module_id = $1 and version = $2""",
        module_id,
        version,
    )
    if row is None:
        return None
    return {**dict(row), "definition": Definition.model_validate_json(row["definition"])}


async def versions_of(connection: Connection, module_id: str) -> list[dict[str, Any]]:
    """Return what the versions of a module changed, the newest first; 100 at most."""
    rows = await connection.fetch(
        """select version, commit_id as commit, published_at, changes from module_versions
           where module_id = $1 order by version desc limit 100""",
        module_id,
    )
    return [{**dict(row), "changes": json.loads(row["changes"])} for row in rows]


async def sensitive_variables(
    connection: Connection, module_id: str, version: int
) -> frozenset[str] | None:
    """Return the names of a version's sensitive variables; nothing where it is not known."""
    text = await connection.fetchval(
        "select definition from module_versions where module_id = $1 and version = $2",
        module_id,
        version,
    )
    if text is None:
        return None
    variables = json.loads(text)["variables"]
    return frozenset(each["name"] for each in variables if each["sensitive"])
