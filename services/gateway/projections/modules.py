"""Modules as they are now, and every version there was."""

import json
from collections.abc import Iterator

from contracts.catalog.v1 import ModulePublished, ModuleUpdated, ModuleWithdrawn
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement, told

_PUBLISHED = """
    insert into modules (module_id, source, partner_id, version, name, title, description,
                         documentation, tags, credit_cost, premium, public_access, published_at,
                         updated_at, withdrawn_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, null)
    on conflict (module_id) do update
    set source = excluded.source, partner_id = excluded.partner_id, version = excluded.version,
        name = excluded.name, title = excluded.title, description = excluded.description,
        documentation = excluded.documentation, tags = excluded.tags,
        credit_cost = excluded.credit_cost, premium = excluded.premium,
        public_access = excluded.public_access, updated_at = excluded.updated_at,
        withdrawn_at = null
    where modules.version < excluded.version"""
_VERSION = """
    insert into module_versions (module_id, version, definition, repository, path, commit_id,
                                 published_at, changes)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (module_id, version) do nothing"""
_WITHDRAWN = "update modules set withdrawn_at = $2 where module_id = $1"


def _statements(change: Change) -> Iterator[Statement]:
    match told(change):
        case ModulePublished() as event:
            yield from _published(event)
        case ModuleWithdrawn(module_id=module_id, withdrawn_at=withdrawn_at):
            yield _WITHDRAWN, (module_id, withdrawn_at)
        case _:
            return


def _published(event: ModulePublished) -> Iterator[Statement]:
    definition = event.definition
    yield (
        _PUBLISHED,
        (
            event.module_id,
            event.source,
            event.partner_id,
            event.module_version,
            definition.name,
            definition.title,
            definition.description,
            definition.documentation,
            list(definition.tags),
            definition.credit_cost,
            definition.require_credit_purchases,
            definition.public_access,
            event.published_at,
        ),
    )
    changes = event.changes if isinstance(event, ModuleUpdated) else ()
    yield (
        _VERSION,
        (
            event.module_id,
            event.module_version,
            definition.model_dump_json(),
            event.repository,
            event.path,
            event.commit,
            event.published_at,
            json.dumps([each.model_dump() for each in changes]),
        ),
    )


MODULES = SqlProjection("modules", _statements)
