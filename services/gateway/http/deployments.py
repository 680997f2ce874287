"""Deployments."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from contracts.types import DeploymentStatus, Id, Ordinal
from runtime.ids import new_id
from runtime.sealing import DataKey
from services.gateway.asking import ask
from services.gateway.credentials import Principal
from services.gateway.events import DeploymentAsked, user_stream
from services.gateway.gateway import Gateway, sequences
from services.gateway.http.access import signed_in
from services.gateway.http.credits import Balance, shown_balance
from services.gateway.http.cursors import TIME_AND_ID
from services.gateway.http.deployment_shapes import (
    DeploymentCard,
    DeploymentOut,
    Queue,
    deployment_out,
)
from services.gateway.http.outcomes import PENDING, conclude
from services.gateway.http.parameters import (
    Asker,
    IdInPath,
    IdInQuery,
    OperationId,
    Search,
    TextInQuery,
    TheCursors,
    TheGateway,
    ThePaging,
)
from services.gateway.http.problems import ProblemError
from services.gateway.http.quotes import Variables
from services.gateway.http.route import resource
from services.gateway.http.shapes import Input, Output, Page, by_time, page
from services.gateway.queries import deployments as queries
from services.gateway.queries.builds import build_seconds
from services.gateway.queries.credits import balance_of
from services.gateway.queries.modules import module_version, visible_module
from services.gateway.queries.settings import current_settings

router = resource("Deployments")

WORTH_DOING_FOR: Final = timedelta(minutes=15)
SEE_ALL: Final = ("admin", "finance", "support")


class NewDeployment(Input):
    """What shall be deployed, with which values, for which project."""

    module_id: Id
    version: Ordinal | None = None
    variables: Variables
    project: (
        Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] | None
    ) = None


class BuildSeconds(Output):
    """How long one's newest builds ran that ended well, 200 at most, from their runner's start."""

    count: int
    median: float
    p90: float


class Stats(Output):
    """How much somebody deploys; `deployment_count` is of all times."""

    deployment_count: int
    active_count: int
    build_seconds: BuildSeconds | None
    balance: Balance
    retention_days: int | None


@router.post("/api/deployments", status_code=201, responses=PENDING, response_model=DeploymentOut)
@signed_in
async def deploy(
    body: NewDeployment,
    response: Response,
    gateway: TheGateway,
    asker: Asker,
    request_id: OperationId,
) -> DeploymentOut | Response:
    """Deploy a module: answered once the credits are held and the build is queued."""
    async with gateway.connection() as connection:
        module = await visible_module(connection, asker.user_id, body.module_id)
        if module is None:
            raise ProblemError("UNKNOWN_MODULE", f"there is no module {body.module_id}")
        if module["withdrawn_at"] is not None:
            raise ProblemError("MODULE_WITHDRAWN", f"{module['title']} is withdrawn")
        if body.version is not None and (
            await module_version(connection, body.module_id, body.version) is None
        ):
            raise ProblemError(
                "UNKNOWN_MODULE_VERSION", f"{module['title']} has no version {body.version}"
            )
        seen = await sequences(
            connection, f"module-{body.module_id}", "settings", user_stream(asker.user_id)
        )
    key = DataKey.generate()
    asked = DeploymentAsked(
        expires_at=gateway.now + WORTH_DOING_FOR,
        deployment_id=new_id(),
        user_id=asker.user_id,
        module_id=body.module_id,
        module_version=body.version,
        project=body.project,
        variables=key.encrypt_json(body.variables),
        sealed_data_key=key.seal_for(gateway.settings.deployer_sealing_public_key or ""),
    )
    answer = await ask(
        gateway, asker, request_id, asked, seen=seen, data_key=gateway.vault.wrap(key)
    )
    if answer.status == "DONE":
        response.headers["Location"] = f"/api/deployments/{answer.resource_id}"
    result: DeploymentOut | Response = await conclude(gateway, asker, answer)
    return result


@router.get("/api/deployments")
@signed_in
async def deployments(
    *,
    gateway: TheGateway,
    asker: Asker,
    cursors: TheCursors,
    paging: ThePaging,
    scope: Annotated[Literal["mine", "all"], Query()] = "mine",
    search: Search = None,
    status: Annotated[DeploymentStatus | None, Query()] = None,
    module_id: IdInQuery = None,
    project: TextInQuery = None,
    user_id: IdInQuery = None,
) -> Page[DeploymentCard]:
    """List deployments, the newest first: one's own, or all of them for those who may see them."""
    sees_all = asker.has(*SEE_ALL)
    if not sees_all and (scope == "all" or user_id not in (None, asker.user_id)):
        raise ProblemError("FORBIDDEN")
    filters = {
        "search": search,
        "status": status,
        "module_id": module_id,
        "project": project,
        "user_id": user_id if scope == "all" or user_id is not None else asker.user_id,
    }
    listed = {"list": "deployments", **filters}
    async with gateway.connection() as connection:
        rows = await queries.list_deployments(
            connection,
            **filters,
            after=cursors.read(listed, paging.cursor, TIME_AND_ID),
            limit=paging.limit + 1,
        )
    items, cursor = page(
        rows,
        limit=paging.limit,
        cursors=cursors,
        scope=listed,
        key=by_time("created_at"),
        item=lambda row: DeploymentCard(**row),
    )
    return Page(items=items, next_cursor=cursor)


@router.get("/api/deployments/stats")
@signed_in
async def stats(gateway: TheGateway, asker: Asker) -> Stats:
    """Read how much one has deployed, and what one's credits are."""
    async with gateway.connection() as connection:
        lifetime, active = await queries.counts_of(connection, asker.user_id)
        times = await build_seconds(connection, asker.user_id)
        balance = await balance_of(connection, asker.user_id, gateway.now)
        settings = (await current_settings(connection)).settings
    return Stats(
        deployment_count=lifetime,
        active_count=active,
        build_seconds=BuildSeconds(**times) if times["count"] else None,
        balance=shown_balance(asker.user_id, balance),
        retention_days=settings.retention_days,
    )


@router.get("/api/deployments/{deployment_id}")
@signed_in
async def deployment(deployment_id: IdInPath, gateway: TheGateway, asker: Asker) -> DeploymentOut:
    """Read a deployment with its builds, its outputs and what became of its credits."""
    return await shown_deployment(gateway, asker, deployment_id)


async def visible_deployment(
    connection: Any, asker: Principal, deployment_id: str
) -> dict[str, Any]:
    """Return the row of a deployment that the asker may see; else a 404."""
    return _visible(await queries.deployment_by_id(connection, deployment_id), asker)


def _visible(row: dict[str, Any] | None, asker: Principal) -> dict[str, Any]:
    if row is None or not (row["user_id"] == asker.user_id or asker.has(*SEE_ALL)):
        raise ProblemError("NOT_FOUND")
    return row


async def shown_deployment(gateway: Gateway, asker: Principal, deployment_id: str) -> DeploymentOut:
    """Return a deployment that the asker may see, all of it as of one instant; else a 404."""
    async with gateway.connection() as connection:
        row = _visible(await queries.whole_deployment(connection, deployment_id), asker)
        return await _shown(gateway, connection, row)


async def created_deployment(gateway: Gateway, deployment_id: str) -> DeploymentOut:
    """Return a deployment as it was when it came to be, though it may have gone on since."""
    async with gateway.connection() as connection:
        row = await queries.whole_deployment(connection, deployment_id)
        if row is None:
            raise ProblemError("NOT_FOUND")
        shown = await _shown(gateway, connection, row)
    return shown.model_copy(update={"status": "QUEUED"})


async def _shown(gateway: Gateway, connection: Any, row: dict[str, Any]) -> DeploymentOut:
    builds = row["builds"]
    waits = bool(builds) and builds[-1]["status"] == "QUEUED"
    return deployment_out(
        gateway,
        row,
        sensitive=await gateway.sensitive.of(connection, row["module_id"], row["version"]),
        statuses=row["statuses"],
        builds=builds,
        hold=row["hold"],
        queue=await _queue_place(gateway, connection, row, builds[-1]) if waits else None,
    )


async def _queue_place(
    gateway: Gateway, connection: Any, row: Mapping[str, Any], build: Mapping[str, Any]
) -> Queue:
    waits = {
        "build_id": build["id"],
        "deployment_id": row["id"],
        "user_id": row["user_id"],
        "queued_at": build["created_at"],
    }
    place = await gateway.queue.place(connection, waits, gateway.now)
    return Queue(
        position=place.position,
        reason="OTHERS_FIRST" if place.overtaken else "WAITING_FOR_A_RUNNER",
        expected_start_at=place.expected_start_at,
    )
