"""Modules: what can be deployed, and what it costs."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field

from contracts.catalog.v1 import Definition
from contracts.credit_rules import gate_and_cost
from contracts.types import WHOLE_NUMBER_MAX, JsonData
from runtime.connection import Connection
from services.gateway.credentials import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.access import signed_in
from services.gateway.http.cursors import LIMIT_DEFAULT, LIMIT_MAX
from services.gateway.http.parameters import (
    ID_PATTERN,
    Asker,
    IdInPath,
    Search,
    TextInQuery,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Output, Page, page
from services.gateway.queries.modules import (
    ORDERS,
    Filters,
    Sort,
    list_modules,
    list_tags,
    module_deployed,
    module_version,
    versions_of,
    visible_module,
)
from services.gateway.queries.settings import current_settings
from services.gateway.stars import average

router = resource("Modules")

Source = Literal["admin", "partner"]


class Rating(Output):
    """What its users think of a module: no average where nobody has rated it."""

    average: Annotated[str, Field(examples=["4.25"])] | None
    count: int


class ModuleCard(Output):
    """A module in a list. `credit_cost` is the module's price, `your_cost` what you would pay."""

    id: str
    name: str
    title: str
    description: str
    source: Source
    partner_id: str | None
    partner_name: str | None
    version: int
    credit_cost: int
    your_cost: int
    require_credit_purchases: bool
    public_access: bool
    tags: list[str]
    rating: Rating
    deployment_count: int
    pinned: bool
    featured: bool
    withdrawn: bool


class ValidationOut(Output):
    """A rule that a value must meet, in HCL; whether it can be decided without Terraform."""

    condition: str
    message: str
    decidable: bool


class VariableOut(Output):
    """A variable as a form needs it; `default` means something where it is not required."""

    name: str
    type: str
    description: str
    default: JsonData
    required: bool
    nullable: bool
    options: list[JsonData]
    validations: list[ValidationOut]
    group: int
    order: int
    sensitive: bool
    update_safe: bool


class OutputOut(Output):
    """A value that a deployment gives back."""

    name: str
    description: str
    sensitive: bool


class ChangeOut(Output):
    """How a variable or output, or without one the module, differs from the version before."""

    variable: str | None
    change: str
    breaking: bool


class VersionOut(Output):
    """A version of a module."""

    version: int
    commit: str
    published_at: datetime
    changes: list[ChangeOut]


class Module(ModuleCard):
    """A module, whole, in its latest version or in the one that was asked for.

    What a card has is always of the latest; `shown_version` is what the rest is of.
    """

    shown_version: int
    documentation: str | None
    dependencies: list[str]
    variables: list[VariableOut]
    outputs: list[OutputOut]
    readme: str | None
    repository: str
    path: str
    commit: str
    versions: list[VersionOut]


class TagCount(Output):
    """A tag, and how many modules have it."""

    tag: str
    module_count: int


class Tags(Output):
    """Tags, the commonest first."""

    items: list[TagCount]


@router.get("/api/modules")
@signed_in
async def modules(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    source: Annotated[Source | None, Query()] = None,
    search: Search = None,
    tag: TextInQuery = None,
    pinned: Annotated[bool | None, Query()] = None,
    sort: Annotated[Sort, Query()] = "standing",
) -> Page[ModuleCard]:
    """List the modules that you may see and that can be deployed.

    `standing` is: pinned by you, featured, most deployments, best rating, name. A search is for
    every one of its words in name, title, description and tags; a word that is in none of them is
    taken for a typo, and finds what is much like it.
    """
    filters = Filters(source, search, tag, pinned)
    scope = {"list": "modules", "user": asker.user_id, "sort": sort, **asdict(filters)}
    async with gateway.connection() as connection:
        enabled = (await current_settings(connection)).settings.credits_enabled
        rows = await list_modules(
            connection,
            asker.user_id,
            filters,
            sort=sort,
            after=cursors.read(scope, paging.cursor, ORDERS[sort].types),
            limit=paging.limit + 1,
        )
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=lambda row: row["place"],
        item=lambda row: ModuleCard(**_card(row, asker, credits_enabled=enabled)),
    )
    return Page(items=items, next_cursor=cursor)


@router.get("/api/modules/tags")
@signed_in
async def tags(
    *,
    gateway: TheGateway,
    asker: Asker,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    source: Annotated[Source | None, Query()] = None,
    search: Search = None,
    pinned: Annotated[bool | None, Query()] = None,
) -> Tags:
    """List the tags of all modules that the list of modules has, the commonest first."""
    filters = Filters(source, search, None, pinned)
    async with gateway.connection() as connection:
        rows = await list_tags(connection, asker.user_id, filters, limit=limit)
    return Tags(items=[TagCount(**row) for row in rows])


@router.get("/api/modules/{module_id}")
@signed_in
async def module(
    module_id: IdInPath,
    gateway: TheGateway,
    asker: Asker,
    version: Annotated[
        int | None, Query(ge=1, le=WHOLE_NUMBER_MAX, description="Another than the latest.")
    ] = None,
    deployment_id: Annotated[
        str | None,
        Query(
            pattern=ID_PATTERN,
            description="A deployment of it that you may update: for that you see its module.",
        ),
    ] = None,
) -> Module:
    """Read a module; one that was withdrawn says so, and can no longer be deployed."""
    return await shown_module(gateway, asker, module_id, version, deployment_id)


async def shown_module(
    gateway: Gateway,
    asker: Principal,
    module_id: str,
    number: int | None = None,
    deployment_id: str | None = None,
) -> Module:
    """Return a module that the asker may see, in its latest version or another; else a 404."""
    async with gateway.connection() as connection:
        row, version = await seen_module(connection, asker, module_id, number, deployment_id)
        versions = await versions_of(connection, module_id)
        if row["only_version"] is not None:
            versions = [each for each in versions if each["version"] == row["only_version"]]
        enabled = (await current_settings(connection)).settings.credits_enabled
    definition: Definition = version["definition"]
    return Module(
        **_card(row, asker, credits_enabled=enabled),
        shown_version=version["version"],
        documentation=definition.documentation,
        dependencies=list(definition.dependencies),
        variables=_variables(definition),
        outputs=[OutputOut(**each.model_dump()) for each in definition.outputs],
        readme=definition.readme,
        repository=version["repository"],
        path=version["path"],
        commit=version["commit_id"],
        versions=[VersionOut(**each) for each in versions],
    )


async def seen_module(
    connection: Connection,
    asker: Principal,
    module_id: str,
    number: int | None,
    deployment_id: str | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a module, and its latest version or another; a 404 where the asker may not see it.

    Who may update a deployment of it sees it for that, in the versions that this may have.
    """
    row: dict[str, Any] | None
    if deployment_id is None:
        row = await visible_module(connection, asker.user_id, module_id)
        only = None
    else:
        by = None if asker.has("admin") else asker.user_id
        found = await module_deployed(connection, asker.user_id, deployment_id, by=by)
        row, only = found or (None, None)
    if row is None or row["id"] != module_id:
        raise ProblemError("UNKNOWN_MODULE", f"there is no module {module_id}")
    wanted = number or only or row["version"]
    version = None
    if only in (None, wanted):
        version = await module_version(connection, module_id, wanted)
    if version is None:
        detail = f"{row['title']} has no version {number}"
        raise ProblemError("UNKNOWN_MODULE_VERSION", detail)
    return {**row, "only_version": only}, version


def _card(row: Mapping[str, Any], asker: Principal, *, credits_enabled: bool) -> dict[str, Any]:
    _, your_cost = gate_and_cost(
        list_price=row["credit_cost"],
        premium=row["premium"],
        own_module=row["partner_id"] == asker.user_id,
        credits_enabled=credits_enabled,
    )
    same = (
        *("id", "name", "title", "description", "source", "partner_id", "partner_name"),
        *("version", "credit_cost", "public_access", "tags", "deployment_count"),
        *("pinned", "featured"),
    )
    return {
        **{name: row[name] for name in same},
        "your_cost": your_cost,
        "require_credit_purchases": row["premium"],
        "rating": Rating(
            average=average(row["rating_sum"], row["rating_count"]), count=row["rating_count"]
        ),
        "withdrawn": row["withdrawn_at"] is not None,
    }


def _variables(definition: Definition) -> list[VariableOut]:
    """Return the variables that users set, in the order of a form."""
    shown = [each for each in definition.variables if each.group != 0]
    return [
        VariableOut(
            name=each.name,
            type=each.type,
            description=each.description,
            default=None if each.sensitive else each.default,
            required=each.required,
            nullable=each.nullable,
            options=list(each.options),
            validations=[
                ValidationOut(
                    condition=rule.condition, message=rule.message, decidable=rule.decidable
                )
                for rule in each.validations
            ],
            group=each.group,
            order=each.order,
            sensitive=each.sensitive,
            update_safe=each.update_safe,
        )
        for each in sorted(shown, key=lambda each: (each.group, each.order, each.name))
    ]
