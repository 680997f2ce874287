"""Modules as they are now, every version there was, and how they stand with their users."""

import json
import re
from collections.abc import Iterator
from typing import Final

from contracts.catalog.v1 import (
    Definition,
    ModuleFeatured,
    ModulePublished,
    ModuleRated,
    ModuleUnfeatured,
    ModuleUpdated,
    ModuleWithdrawn,
)
from contracts.deployer.v1 import DeploymentErased, DeploymentQueued, DeploymentSucceeded
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement, told

_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_WORD: Final = re.compile(r"(?<![^\W_])[^\W_]{3,40}(?![^\W_])")
_PUBLISHED = """
    insert into modules (module_id, source, partner_id, version, name, title, description,
                         documentation, tags, credit_cost, premium, public_access, published_at,
                         updated_at, withdrawn_at, search_text, deployment_count)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, null, $14,
            (select count(*) from module_deployments where module_id = $1 and succeeded))
    on conflict (module_id) do update
    set source = excluded.source, partner_id = excluded.partner_id, version = excluded.version,
        name = excluded.name, title = excluded.title, description = excluded.description,
        documentation = excluded.documentation, tags = excluded.tags,
        credit_cost = excluded.credit_cost, premium = excluded.premium,
        public_access = excluded.public_access, updated_at = excluded.updated_at,
        withdrawn_at = null, search_text = excluded.search_text
    where modules.version < excluded.version"""
_WORDS = """
    insert into module_words (word) select unnest($1::text[]) order by 1
    on conflict (word) do nothing"""
_VERSION = """
    insert into module_versions (module_id, version, definition, repository, path, commit_id,
                                 published_at, changes)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (module_id, version) do nothing"""
_WITHDRAWN = "update modules set withdrawn_at = $2 where module_id = $1"
_RATED = "update modules set rating_sum = $2, rating_count = $3 where module_id = $1"
_STARS = """
    insert into ratings (deployment_id, stars, rated_at)
    select $1, $2, $3
    where not exists (select from module_deployments where deployment_id = $1 and erased)
    on conflict (deployment_id) do update
    set stars = excluded.stars, rated_at = excluded.rated_at"""
_ERASED = "update module_deployments set erased = true where deployment_id = $1"
_STARS_ERASED = "delete from ratings where deployment_id = $1"
_FEATURED = "update modules set featured = $2 where module_id = $1"
_DEPLOYED = """
    insert into module_deployments (deployment_id, module_id, succeeded) values ($1, $2, false)
    on conflict (deployment_id) do nothing"""
_SUCCEEDED = """
    with first as (update module_deployments set succeeded = true
                   where deployment_id = $1 and not succeeded returning module_id)
    update modules set deployment_count = deployment_count + 1
    from first where modules.module_id = first.module_id"""


def _statements(change: Change) -> Iterator[Statement]:
    match told(change):
        case ModulePublished() as event:
            yield from _published(event)
        case ModuleWithdrawn(module_id=module_id, withdrawn_at=withdrawn_at):
            yield _WITHDRAWN, (module_id, withdrawn_at)
        case ModuleRated() as event:
            yield _RATED, (event.module_id, event.rating_sum, event.rating_count)
            yield _STARS, (event.deployment_id, event.stars, event.rated_at)
        case ModuleFeatured(module_id=module_id):
            yield _FEATURED, (module_id, True)
        case ModuleUnfeatured(module_id=module_id):
            yield _FEATURED, (module_id, False)
        case DeploymentQueued(deployment_id=deployment_id, module_id=module_id):
            yield _DEPLOYED, (deployment_id, module_id)
        case DeploymentSucceeded(deployment_id=deployment_id):
            yield _SUCCEEDED, (deployment_id,)
        case DeploymentErased(deployment_id=deployment_id):
            yield _ERASED, (deployment_id,)
            yield _STARS_ERASED, (deployment_id,)
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
            search_text(definition),
        ),
    )
    yield _WORDS, (words_in(search_text(definition)),)
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


def search_text(definition: Definition) -> str:
    """Return what a module is found by: name, title, description and tags.

    Of a name such as `App_CloudRun2` the words in it, too: app, cloud, run.
    """
    parts = _PART.findall(definition.name)
    words = (definition.name, definition.title, *parts, definition.description, *definition.tags)
    return " ".join(words).lower()


def words_in(text: str) -> list[str]:
    """Return the words of a text that a typo may be meant for: 3 to 40 letters or digits."""
    return sorted(set(_WORD.findall(text)))


MODULES = SqlProjection(
    "modules",
    _statements,
    tables=("modules", "module_versions", "module_words", "module_deployments", "ratings"),
)
