"""Syncs: reading a repository's modules anew."""

from datetime import datetime
from typing import Any, Literal

from starlette.responses import Response

from services.gateway.account_rows import Repository, repository_of
from services.gateway.credentials import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.access import signed_in
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.parameters import (
    Asker,
    IdInPath,
    OperationId,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input, Output, Page, by_time, page
from services.gateway.queries.syncs import list_syncs, sync_by_id
from services.gateway.syncs import platform_repository, sync_request

router = resource("Modules")

Scope = Literal["platform", "partner"]


class NewSync(Input):
    """Which repository shall be read: the platform's, or one's own."""

    scope: Scope


class ProblemOut(Output):
    """What is wrong in a module, and where; line 0 is the file as a whole."""

    file: str
    line: int
    message: str


class SyncChange(Output):
    """How a variable or output, or without one the module, differs from the version before."""

    variable: str | None
    change: str
    breaking: bool


class ModuleReport(Output):
    """How one directory of the repository fared.

    `live_deployments` is how many deployments of the module owned resources when the sync began.
    """

    path: str
    name: str
    outcome: Literal["PUBLISHED", "UPDATED", "UNCHANGED", "WITHDRAWN", "REFUSED"]
    module_id: str | None
    version: int | None
    problems: list[ProblemOut]
    changes: list[SyncChange]
    live_deployments: int


class Sync(Output):
    """A sync; what it found is there once it is no longer running.

    `passed_over` are directories with Terraform files that are no modules, 200 at most.
    """

    id: str
    scope: Scope
    status: Literal["RUNNING", "DONE", "FAILED"]
    commit: str | None
    error: str | None
    modules: list[ModuleReport]
    passed_over: list[str]
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@router.post("/api/syncs", status_code=202)
@signed_in
async def start_sync(
    body: NewSync,
    response: Response,
    gateway: TheGateway,
    asker: Asker,
    sync_id: OperationId,
) -> Sync:
    """Ask for a sync: of the platform's repository (admins), or of one's own (partners)."""
    is_platform = body.scope == "platform"
    if not asker.has("admin" if is_platform else "partner"):
        raise ProblemError("FORBIDDEN")
    async with gateway.connection() as connection:
        repository = (
            await platform_repository(connection)
            if is_platform
            else await repository_of(connection, asker.user_id)
        )
    if repository.url is None:
        detail = "set platform_repository in the settings first"
        raise ProblemError("NO_REPOSITORY", detail if is_platform else "set repository in /api/me")
    await ask_for_sync(gateway, repository, sync_id=sync_id, actor=asker.user_id)
    response.headers["Location"] = f"/api/syncs/{sync_id}"
    return await shown_sync(gateway, asker, sync_id)


@router.get("/api/syncs")
@signed_in
async def syncs(
    gateway: TheGateway, asker: Asker, cursors: TheCursors, paging: ThePaging
) -> Page[Sync]:
    """List syncs, the newest first: all of them for admins, their own for partners."""
    partner_id = _seen_by(asker)
    scope = {"list": "syncs", "partner": partner_id}
    async with gateway.connection() as connection:
        after = cursors.read(scope, paging.cursor, TIME_AND_ID)
        rows = await list_syncs(connection, partner_id, after, paging.limit + 1)
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=scope,
        key=by_time("requested_at"),
        item=_sync,
    )
    return Page(items=items, next_cursor=cursor)


@router.get("/api/syncs/{sync_id}")
@signed_in
async def sync(sync_id: IdInPath, gateway: TheGateway, asker: Asker) -> Sync:
    """Read a sync with its report on each module."""
    return await shown_sync(gateway, asker, sync_id)


async def shown_sync(gateway: Gateway, asker: Principal, sync_id: str) -> Sync:
    """Return a sync that the asker may see; else a 404."""
    async with gateway.connection() as connection:
        row = await sync_by_id(connection, _seen_by(asker), sync_id)
    if row is None:
        raise ProblemError("NOT_FOUND")
    return _sync(row)


def _seen_by(asker: Principal) -> str | None:
    """Return the partner whose syncs the asker sees, or None who sees all."""
    return None if asker.has("admin") else asker.user_id


async def ask_for_sync(
    gateway: Gateway, repository: Repository, *, sync_id: str, actor: str
) -> None:
    """Ask the catalogue for a sync, once for each id."""
    await gateway.execute(
        sync_request(
            repository,
            sync_id=sync_id,
            actor=actor,
            now=gateway.now,
            vault=gateway.vault,
            catalog_key=gateway.settings.catalog_sealing_public_key or "",
        )
    )


def _sync(row: Any) -> Sync:
    reports = [
        {"live_deployments": 0, **report, "version": report["module_version"]}
        for report in row["modules"]
    ]
    for report in reports:
        del report["module_version"]
    return Sync(**{**row, "modules": reports})
