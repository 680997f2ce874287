"""Modules that somebody may see: the platform's, the public ones, and a partner's own.

A list of modules is in the order of a tuple of keys, the last of which is the module's id: so that
the last item's keys are the place where the next page begins, whatever was put in before.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

from contracts.catalog.v1 import Definition
from runtime.connection import Connection

Sort = Literal["standing", "relevance", "name", "title", "newest", "cost", "deployments", "rating"]

_CARD: Final = """
    select m.module_id as id, m.source, m.partner_id, p.name as partner_name, m.version, m.name,
           m.title, m.description, m.documentation, m.tags, m.credit_cost, m.premium,
           m.public_access, m.updated_at, m.withdrawn_at, m.deployment_count, m.rating_sum,
           m.rating_count, m.featured, n.module_id is not null as pinned"""
_FROM: Final = """
    from modules m
    left join accounts p on p.user_id = m.partner_id
    left join pins n on n.user_id = $1 and n.module_id = m.module_id"""
_VISIBLE: Final = "(m.source = 'admin' or m.public_access or m.partner_id = $1)"

VERSIONS_KEPT_MAX: Final = 2_000
WORDS_MAX: Final = 8
"""A search is for all of its words; more than these are not looked at."""


@dataclass(frozen=True)
class Order:
    """An order of modules: SQL expressions with their types, and whether the greatest is first.

    `pinned_first`: what the viewer has pinned comes before all else.
    """

    keys: tuple[tuple[str, type], ...]
    descending: bool = False
    pinned_first: bool = False

    @property
    def types(self) -> tuple[type, ...]:
        """The types of a place in the order."""
        return (*((bool,) if self.pinned_first else ()), *(kind for _, kind in self.keys))


_ID: Final = ("m.module_id", str)
_RELEVANCE: Final = """(1000 * greatest(word_similarity({search}, lower(m.title)),
                                        word_similarity({search}, m.name)))::bigint"""
ORDERS: Final[dict[Sort, Order]] = {
    # These are the expressions of the index `modules_by_standing`.
    "standing": Order(
        (
            ("(not m.featured)", bool),
            ("(-m.deployment_count)", int),
            ("(-m.rating_milli)", int),
            ("m.name", str),
            _ID,
        ),
        pinned_first=True,
    ),
    "relevance": Order(
        (
            (_RELEVANCE, int),
            ("m.deployment_count", int),
            _ID,
        ),
        descending=True,
    ),
    "name": Order((("m.name", str), _ID)),
    "title": Order((("m.title", str), _ID)),
    "cost": Order((("m.credit_cost", int), _ID)),
    "newest": Order((("m.updated_at", datetime), _ID), descending=True),
    "deployments": Order((("m.deployment_count", int), _ID), descending=True),
    "rating": Order((("m.rating_milli", int), ("m.rating_count", int), _ID), descending=True),
}


@dataclass(frozen=True)
class Filters:
    """Which modules are listed; what is None is not asked for."""

    source: str | None = None
    search: str | None = None
    tag: str | None = None
    pinned: bool | None = None


async def list_modules(
    connection: Connection,
    viewer: str,
    filters: Filters,
    *,
    sort: Sort,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return the modules that can be deployed and that the viewer may see, in order.

    Each has its `place` in the order, which is what `after` takes.
    """
    order = ORDERS[sort]
    matching = await _matching(connection, viewer, filters)
    part = partial(_part, connection, viewer, order=order, matching=matching)
    if not order.pinned_first:
        return await part(filters, after=after, limit=limit)
    rows: list[dict[str, Any]] = []
    # Two parts, since whether it is pinned differs by viewer and so is in no index.
    for unpinned in (False, True):
        if filters.pinned is unpinned or (after is not None and after[0] > unpinned):
            continue
        begun = after is not None and after[0] == unpinned
        found = await part(
            replace(filters, pinned=not unpinned),
            after=after[1:] if begun and after is not None else None,
            limit=limit - len(rows),
        )
        rows += [{**row, "place": (unpinned, *row["place"])} for row in found]
        if len(rows) >= limit:
            break
    return rows


async def list_tags(
    connection: Connection, viewer: str, filters: Filters, *, limit: int
) -> list[dict[str, Any]]:
    """Return the tags of all modules that are listed by these filters, the commonest first.

    A module has a tag once: the catalogue sees to that.
    """
    values: list[Any] = [viewer]

    def given(value: Any, kind: str) -> str:
        values.append(value)
        return f"${len(values)}::{kind}"

    matching = await _matching(connection, viewer, filters)
    conditions = [_VISIBLE, "m.withdrawn_at is null", *_conditions(filters, matching, given)]
    rows = await connection.fetch(
        f"""select tag, count(*) as module_count {_FROM}, unnest(m.tags) as tag
        where {" and ".join(conditions)}
        group by tag order by module_count desc, tag limit {given(limit, "bigint")}""",
        *values,
    )
    return [dict(row) for row in rows]


async def _matching(connection: Connection, viewer: str, filters: Filters) -> list[str] | None:
    """Return the ids of the modules that a search is for; None where nothing is searched for."""
    words = (filters.search or "").lower().split()[:WORDS_MAX]
    if not words:
        return None
    found: list[str] = await connection.fetchval(
        "select modules_matching($1, $2::text[])", viewer, words
    )
    return found


async def _part(
    connection: Connection,
    viewer: str,
    filters: Filters,
    *,
    order: Order,
    matching: list[str] | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[dict[str, Any]]:
    values: list[Any] = [viewer]

    def given(value: Any, kind: str) -> str:
        values.append(value)
        return f"${len(values)}::{kind}"

    conditions = [_VISIBLE, "m.withdrawn_at is null", *_conditions(filters, matching, given)]
    by_relevance = any("{search}" in key for key, _ in order.keys)
    search = given((filters.search or "").lower(), "text") if by_relevance else ""
    keys = [key.format(search=search) for key, _ in order.keys]
    if after is not None:
        kinds = [_SQL_TYPES[kind] for _, kind in order.keys]
        places = [given(value, kind) for value, kind in zip(after, kinds, strict=True)]
        beyond = "<" if order.descending else ">"
        conditions.append(f"({', '.join(keys)}) {beyond} ({', '.join(places)})")
    way = " desc" if order.descending else ""
    rows = await connection.fetch(
        f"""{_CARD}, {", ".join(f"{key} as key_{i}" for i, key in enumerate(keys))} {_FROM}
        where {" and ".join(conditions)}
        order by {", ".join(f"{key}{way}" for key in keys)} limit {given(limit, "bigint")}""",
        *values,
    )
    return [
        {**dict(row), "place": tuple(row[f"key_{i}"] for i in range(len(keys)))} for row in rows
    ]


_SQL_TYPES: Final[dict[type, str]] = {
    bool: "boolean", int: "bigint", str: "text", datetime: "timestamptz",
}  # fmt: skip


def _conditions(
    filters: Filters, matching: list[str] | None, given: Callable[[Any, str], str]
) -> list[str]:
    found = []
    if filters.source is not None:
        found.append(f"m.source = {given(filters.source, 'text')}")
    if filters.tag is not None:
        found.append(f"m.tags @> array[{given(filters.tag, 'text')}]")
    if filters.pinned is not None:
        found.append("n.module_id is not null" if filters.pinned else "n.module_id is null")
    if matching is not None:
        found.append(f"m.module_id = any ({given(matching, 'text[]')})")
    return found


async def visible_module(
    connection: Connection, viewer: str, module_id: str
) -> dict[str, Any] | None:
    """Return a module that the viewer may see, withdrawn or not; else nothing."""
    row = await connection.fetchrow(
        f"{_CARD} {_FROM} where {_VISIBLE} and m.module_id = $2", viewer, module_id
    )
    return None if row is None else dict(row)


async def module_deployed(
    connection: Connection, viewer: str, deployment_id: str, *, by: str | None
) -> tuple[dict[str, Any], int | None] | None:
    """Return the module of a deployment, whoever may see it otherwise, and its only version.

    There is an only version, the deployed one, where the deployment's owner may not see the module
    any more. `by` is whose deployment it has to be, None: anybody's.
    """
    row = await connection.fetchrow(
        f"""{_CARD}, case when m.source = 'admin' or m.public_access or m.partner_id = d.user_id
                     then null else d.module_version end as only_version
            {_FROM} join deployments d on d.module_id = m.module_id
            where d.deployment_id = $2 and ($3::text is null or d.user_id = $3)""",
        viewer,
        deployment_id,
        by,
    )
    return None if row is None else (dict(row), row["only_version"])


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


class SensitiveNames:
    """The names of versions' sensitive variables. A version never changes, so they are kept."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], frozenset[str]] = {}

    async def of(
        self, connection: Connection, module_id: str, version: int
    ) -> frozenset[str] | None:
        """Return the names of a version's sensitive variables; nothing where it is not known."""
        found = self._kept.get((module_id, version))
        if found is None:
            text = await connection.fetchval(
                "select definition from module_versions where module_id = $1 and version = $2",
                module_id,
                version,
            )
            if text is None:
                return None
            variables = json.loads(text)["variables"]
            found = frozenset(each["name"] for each in variables if each["sensitive"])
            if len(self._kept) >= VERSIONS_KEPT_MAX:
                self._kept.clear()
            self._kept[module_id, version] = found
        return found
