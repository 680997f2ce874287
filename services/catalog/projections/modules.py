"""Each module with what decides whether it must be read again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.catalog.events import ModulePublished, ModuleReread, ModuleUpdated, ModuleWithdrawn

PLATFORM: Final = "platform"


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """A module of a scope."""

    module_id: str
    name: str
    repository: str
    path: str
    version: int
    withdrawn: bool
    live_deployments: int
    fingerprint: str
    fingerprint_paths: tuple[str, ...]


class Modules:
    """A row for each module, as its last version is."""

    name = "modules"
    tables = ("modules",)

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Bring the rows up to date, in the order of the facts."""
        for change in changes:
            if isinstance(change, Recorded):
                await _apply(connection, change)


async def _apply(connection: asyncpg.Connection, record: Recorded[object]) -> None:
    module_id = record.stream.partition("-")[2]
    match record.fact:
        case ModulePublished() | ModuleUpdated() as fact:
            content = fact.content
            await connection.execute(
                """insert into modules (module_id, scope, name, repository, path, version,
                                        withdrawn, fingerprint, fingerprint_paths)
                   values ($1, $2, $3, $4, $5, $6, false, $7, $8)
                   on conflict (module_id) do update
                       set repository = $4, path = $5, version = $6, withdrawn = false,
                           fingerprint = $7, fingerprint_paths = $8""",
                module_id,
                fact.partner_id or PLATFORM,
                content.definition.name,
                content.repository,
                content.path,
                fact.version,
                content.fingerprint,
                list(content.fingerprint_paths),
            )
        case ModuleReread() as fact:
            await connection.execute(
                "update modules set fingerprint = $2, fingerprint_paths = $3 where module_id = $1",
                module_id,
                fact.fingerprint,
                list(fact.fingerprint_paths),
            )
        case ModuleWithdrawn():
            await connection.execute(
                "update modules set withdrawn = true where module_id = $1", module_id
            )
        case _:
            return


async def modules_of_scope(pool: asyncpg.Pool, partner_id: str | None) -> list[ModuleRow]:
    """Return all modules of a scope, those that were withdrawn included."""
    rows = await pool.fetch(
        """select m.module_id, m.name, m.repository, m.path, m.version, m.withdrawn,
                  m.fingerprint, m.fingerprint_paths, coalesce(d.live, 0) as live_deployments
           from modules m
           left join (select module_id, count(*) as live from deployments where live
                      group by module_id) d using (module_id)
           where m.scope = $1 order by m.name""",
        partner_id or PLATFORM,
    )
    return [
        ModuleRow(
            module_id=row["module_id"],
            name=row["name"],
            repository=row["repository"],
            path=row["path"],
            version=row["version"],
            withdrawn=row["withdrawn"],
            live_deployments=row["live_deployments"],
            fingerprint=row["fingerprint"],
            fingerprint_paths=tuple(row["fingerprint_paths"]),
        )
        for row in rows
    ]
