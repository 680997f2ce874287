"""The catalogue follows deployments: for who may rate what, and what a sync touches."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from contracts.deployer import v1 as deployer
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.gateway.v1 import FeatureRequested, RatingRequested
from contracts.registry import decode
from contracts.types import Credits
from runtime.clock import system_clock
from runtime.ids import new_id
from runtime.inbox import Delivery
from runtime.sealing import DataKey
from tests.integration.catalog.conftest import Catalog, RunCatalog
from tests.integration.catalog.git_host import Repository
from tests.integration.catalog.test_syncing import module

WAIT_SECONDS_MAX: Final = 30
CIPHERTEXT: Final = DataKey.generate().encrypt_json({})


async def hands(catalog: Catalog, stream: str, sequence: int, event: Event) -> str:
    """Hand in what another service tells; return its correlation id once it is applied."""
    model: Any = Envelope
    correlation_id = stream.partition("-")[2]
    body = model[type(event)](
        id=new_id(),
        source=f"/tollgate/{event.service}",
        type=event.type_name(),
        subject=stream,
        time=system_clock.now(),
        dataschema=event.schema_id(),
        partitionkey=stream,
        sequence=sequence,
        correlationid=correlation_id,
        data=event,
    ).to_bytes()
    settled = asyncio.Event()

    async def settle() -> None:
        settled.set()

    await catalog.running.processor.submit(
        Delivery(
            envelope=decode(event.type_name(), body),
            subject=event.bus_subject(),
            body=body,
            first_at=system_clock.now(),
            settle=settle,
        )
    )
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await settled.wait()
    return correlation_id


def queued(deployment_id: str, user_id: str, module_id: str) -> deployer.DeploymentQueued:
    return deployer.DeploymentQueued(
        deployment_id=deployment_id,
        user_id=user_id,
        build_id=f"b-{deployment_id}",
        action="CREATE",
        hold_id="h",
        module_id=module_id,
        module_name="web",
        module_version=1,
        partner_id=None,
        project=None,
        variables=CIPHERTEXT,
        credit_cost=Credits(5),
        awarded_part=Credits(5),
        purchased_part=Credits(0),
        created_at=system_clock.now(),
    )


def succeeded(deployment_id: str, user_id: str) -> deployer.DeploymentSucceeded:
    return deployer.DeploymentSucceeded(
        deployment_id=deployment_id,
        user_id=user_id,
        build_id=f"b-{deployment_id}",
        action="CREATE",
        hold_id="h",
        outputs=CIPHERTEXT,
    )


def destroyed(deployment_id: str, user_id: str) -> deployer.DeploymentDestroyed:
    return deployer.DeploymentDestroyed(
        deployment_id=deployment_id,
        user_id=user_id,
        build_id=f"b2-{deployment_id}",
        action="DESTROY",
    )


def failed(deployment_id: str, user_id: str, *, owns: bool) -> deployer.DeploymentFailed:
    return deployer.DeploymentFailed(
        deployment_id=deployment_id,
        user_id=user_id,
        build_id=f"b-{deployment_id}",
        action="CREATE",
        hold_id="h",
        error=deployer.BuildError(code="APPLY_FAILED", message="no", platform_fault=False),
        owns_resources=owns,
    )


async def deploys(catalog: Catalog, deployment_id: str, user_id: str, module_id: str) -> None:
    stream = f"deployment-{deployment_id}"
    await hands(catalog, stream, 1, queued(deployment_id, user_id, module_id))
    await hands(catalog, stream, 2, succeeded(deployment_id, user_id))


async def asks(catalog: Catalog, kind: Any, asker: str, **fields: Any) -> str:
    request_id = new_id()
    now = system_clock.now()
    request = kind(
        request_id=request_id,
        requested_by=asker,
        requested_at=now,
        expires_at=now + timedelta(minutes=5),
        **fields,
    )
    return await hands(catalog, f"request-{request_id}", 1, request)


async def refusal_of(catalog: Catalog, request_id: str) -> str | None:
    found = await catalog.published("request_refused", f"refusal-{request_id}")
    code: str | None = found[0]["data"]["code"] if found else None
    return code


async def published(catalog: Catalog, tmp_path: Path) -> tuple[Repository, str]:
    """Sync a repository with one module; return it with the module's id."""
    repository = Repository.make(tmp_path / "modules", module("web"))
    report = await catalog.sync(str(repository.path))
    return repository, report["modules"][0]["module_id"]


async def test_owners_rate_and_the_module_tells_sum_and_count(
    catalog: Catalog, tmp_path: Path
) -> None:
    repository, module_id = await published(catalog, tmp_path)
    await deploys(catalog, "d-1", "ada", module_id)
    await deploys(catalog, "d-2", "bob", module_id)
    for asker, deployment_id, stars in (
        ("ada", "d-1", 5), ("bob", "d-2", 2), ("bob", "d-2", 3), ("bob", "d-2", 3),
    ):  # fmt: skip
        fields = {"deployment_id": deployment_id, "module_id": module_id, "stars": stars}
        await asks(catalog, RatingRequested, asker, **fields)
    told = await catalog.published("module_rated", f"module-{module_id}")
    assert [(e["data"]["rating_sum"], e["data"]["rating_count"]) for e in told] == [
        (5, 1), (7, 2), (8, 2), (8, 2),
    ]  # fmt: skip
    repository.commit(module("web", 7))
    await catalog.sync(str(repository.path))
    stream = f"module-{module_id}"
    everything = [
        envelope
        for fact in ("module_published", "module_rated", "module_updated")
        for envelope in await catalog.published(fact, stream)
    ]
    assert [envelope["sequence"] for envelope in everything] == [1, 2, 3, 4, 5, 6]


async def test_who_does_not_own_it_or_has_not_seen_it_succeed_cannot_rate(
    catalog: Catalog, tmp_path: Path
) -> None:
    _, module_id = await published(catalog, tmp_path)
    await deploys(catalog, "d-1", "ada", module_id)
    await hands(catalog, "deployment-d-2", 1, queued("d-2", "ada", module_id))
    await hands(catalog, "deployment-d-2", 2, failed("d-2", "ada", owns=True))
    # What destroys well has not been deployed well.
    await hands(catalog, "deployment-d-2", 3, destroyed("d-2", "ada"))
    await deploys(catalog, "d-3", "ada", module_id)
    erased = deployer.DeploymentErased(deployment_id="d-3", user_id="ada")
    await hands(catalog, "deployment-d-3", 3, erased)
    for asker, deployment_id, of_module, code in (
        ("bob", "d-1", module_id, "UNKNOWN_DEPLOYMENT"),
        ("ada", "d-1", "another", "UNKNOWN_DEPLOYMENT"),
        ("ada", "none", module_id, "UNKNOWN_DEPLOYMENT"),
        ("ada", "d-3", module_id, "UNKNOWN_DEPLOYMENT"),
        ("ada", "d-2", module_id, "DEPLOYMENT_NOT_SUCCEEDED"),
    ):
        fields = {"deployment_id": deployment_id, "module_id": of_module, "stars": 5}
        request_id = await asks(catalog, RatingRequested, asker, **fields)
        assert await refusal_of(catalog, request_id) == code
    assert await catalog.published("module_rated") == []


async def test_admins_feature_what_there_is(catalog: Catalog, tmp_path: Path) -> None:
    repository, module_id = await published(catalog, tmp_path)
    for featured in (True, True, False):
        await asks(catalog, FeatureRequested, "root", module_id=module_id, featured=featured)
    assert len(await catalog.published("module_featured", f"module-{module_id}")) == 2
    assert len(await catalog.published("module_unfeatured", f"module-{module_id}")) == 1
    repository.commit({"web": None, **module("api")})
    await catalog.sync(str(repository.path))
    request_id = await asks(catalog, FeatureRequested, "root", module_id=module_id, featured=True)
    assert await refusal_of(catalog, request_id) == "MODULE_WITHDRAWN"
    request_id = await asks(catalog, FeatureRequested, "root", module_id="none", featured=True)
    assert await refusal_of(catalog, request_id) == "UNKNOWN_MODULE"


async def test_a_sync_tells_how_many_live_deployments_it_touches(
    run_catalog: RunCatalog, tmp_path: Path
) -> None:
    async with run_catalog() as catalog:
        repository, module_id = await published(catalog, tmp_path)
        for number in range(3):
            await deploys(catalog, f"d-{number}", "ada", module_id)
        await hands(catalog, "deployment-d-0", 3, destroyed("d-0", "ada"))
        await hands(catalog, "deployment-f-1", 1, queued("f-1", "bob", module_id))
        await hands(catalog, "deployment-f-1", 2, failed("f-1", "bob", owns=True))
        await hands(catalog, "deployment-f-2", 1, queued("f-2", "bob", module_id))
        await hands(catalog, "deployment-f-2", 2, failed("f-2", "bob", owns=False))
    async with run_catalog() as catalog:
        repository.commit({**module("web", 7), **module("api")})
        updated = await catalog.sync(str(repository.path))
        live = {each["name"]: each["live_deployments"] for each in updated["modules"]}
        assert live == {"web": 3, "api": 0}
        repository.commit({"web": None})
        withdrawn = await catalog.sync(str(repository.path))
        live = {each["name"]: each["live_deployments"] for each in withdrawn["modules"]}
        assert live == {"web": 3, "api": 0}
