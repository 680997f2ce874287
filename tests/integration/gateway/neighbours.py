"""What the gateway's neighbours tell, as a test needs it: whole messages from a few words."""

from datetime import UTC, datetime
from typing import Any, Final

from contracts.catalog import v1 as catalog
from contracts.deployer import v1 as deployer
from contracts.envelope import Envelope
from contracts.gateway import v1 as gateway
from contracts.ledger import v1 as ledger
from contracts.revenue import v1 as revenue
from contracts.types import BuildAction, Credits, Money, Role
from runtime.sealing import DataKey
from tests.integration.gateway.api import DEPLOYER_KEY, Api, Person

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLES: Final[tuple[Role, ...]] = ("user", "partner", "agent", "finance", "support", "admin")

VARIABLES: Final = (
    catalog.Variable(name="region", type="string", description="Where.", required=True),
    catalog.Variable(
        name="size",
        type="number",
        description="How many.",
        required=False,
        default=1,
        options=(1, 2, 3),
        update_safe=True,
    ),
    catalog.Variable(
        name="token",
        type="string",
        description="A secret.",
        required=False,
        default=None,
        sensitive=True,
    ),
    catalog.Variable(
        name="project_number", type="string", description="Ours.", required=False, group=0
    ),
)


def published(
    module_id: str = "m-1",
    *,
    title: str = "Website",
    description: str | None = None,
    cost: int = 50,
    premium: bool = False,
    partner_id: str | None = None,
    public: bool = True,
    version: int = 1,
    tags: tuple[str, ...] = ("web", "static"),
) -> catalog.ModulePublished:
    """A module came to be, or changed."""
    kind: Any = catalog.ModulePublished if version == 1 else catalog.ModuleUpdated
    changes: dict[str, Any] = (
        {}
        if version == 1
        else {"changes": (catalog.Change(variable="size", change="added", breaking=False),)}
    )
    event: catalog.ModulePublished = kind(
        module_id=module_id,
        source="admin" if partner_id is None else "partner",
        partner_id=partner_id,
        module_version=version,
        definition=catalog.Definition(
            name=title.lower().replace(" ", "-"),
            title=title,
            description=description or f"{title}, ready to use.",
            credit_cost=Credits(cost),
            require_credit_purchases=premium,
            public_access=public,
            documentation="https://example.com/docs",
            tags=tags,
            variables=VARIABLES,
            outputs=(catalog.Output(name="url", description="Where it is.", sensitive=False),),
            readme="# Read me",
        ),
        repository="https://example.com/modules.git",
        path=title.lower(),
        commit="c0ffee",
        archive_digest="sha256:" + "0" * 64,
        published_at=NOON,
        **changes,
    )
    return event


async def rates(
    api: Api,
    person: Person,
    deployment_id: str,
    stars: int,
    *,
    total: tuple[int, int],
    module_id: str = "m-1",
    before: int = 0,
) -> None:
    """Have somebody rate a deployment, and the catalogue count it: `total` is (sum, count)."""
    import asyncio

    path = f"/api/deployments/{deployment_id}/rating"
    asking = asyncio.create_task(person.asks("PUT", path, {"stars": stars}))
    request = await api.asked(gateway.RatingRequested, after=before)
    await api.tells(
        f"module-{module_id}",
        catalog.ModuleRated(
            module_id=module_id,
            deployment_id=request.data.deployment_id,
            stars=request.data.stars,
            rating_sum=total[0],
            rating_count=total[1],
            rated_at=NOON,
        ),
        correlation_id=request.correlationid,
    )
    answer = await asking
    assert answer.status_code == 204, answer.text


async def features(api: Api, admin: Person, module_id: str = "m-1", *, before: int = 0) -> None:
    """Have an admin feature a module, and the catalogue do so."""
    import asyncio

    asking = asyncio.create_task(admin.asks("PUT", f"/api/modules/{module_id}/featured"))
    request = await api.asked(gateway.FeatureRequested, after=before)
    event = catalog.ModuleFeatured(module_id=module_id, featured_at=NOON)
    await api.tells(f"module-{module_id}", event, correlation_id=request.correlationid)
    answer = await asking
    assert answer.status_code == 204, answer.text


async def publishes(api: Api, module_id: str = "m-1", **values: Any) -> str:
    """Have the catalogue publish a module; return its id."""
    await api.tells(f"module-{module_id}", published(module_id, **values))
    return module_id


class Deployer:
    """Plays the deployer for one request: opens its key, queues, runs and ends the build."""

    def __init__(self, api: Api, request: Envelope[gateway.DeploymentRequested]) -> None:
        self.api = api
        self.asked = request.data
        self.correlation_id = request.correlationid
        self.key = DataKey.open_sealed(self.asked.sealed_data_key, DEPLOYER_KEY[0])
        self.builds = 1
        self.action: BuildAction = "CREATE"

    @property
    def build_id(self) -> str:
        return f"build-{self.asked.deployment_id}-{self.builds}"

    @property
    def hold_id(self) -> str | None:
        return f"hold-{self.asked.deployment_id}-{self.builds}" if self.action == "CREATE" else None

    def follows(self, request: Envelope[Any], action: BuildAction) -> None:
        """Answer this request with the next build."""
        self.builds, self.action = self.builds + 1, action
        self.correlation_id = request.correlationid

    @property
    def variables(self) -> Any:
        return self.key.decrypt_json(self.asked.variables)

    async def tells(self, event: Any) -> None:
        stream = f"deployment-{self.asked.deployment_id}"
        await self.api.tells(stream, event, correlation_id=self.correlation_id)

    async def queues(
        self, *, cost: int = 50, awarded: int = 30, partner_id: str | None = None
    ) -> None:
        """Accept the request."""
        await self.tells(
            deployer.DeploymentQueued(
                **self.head(),
                hold_id=self.hold_id or "",
                module_id=self.asked.module_id,
                module_name="Website",
                module_version=self.asked.module_version or 1,
                partner_id=partner_id,
                project=self.asked.project,
                variables=self.asked.variables,
                credit_cost=Credits(cost),
                awarded_part=Credits(awarded),
                purchased_part=Credits(cost - awarded),
                created_at=NOON,
            )
        )

    async def refuses(self, code: str, **values: Any) -> None:
        """Do not accept the request."""
        await self.tells(
            deployer.DeploymentRefused(
                deployment_id=self.asked.deployment_id,
                user_id=self.asked.user_id,
                code=code,
                detail="it is not possible",
                **values,
            )
        )

    async def starts(self) -> None:
        """Give the build to a runner."""
        event = deployer.DeploymentProvisioning(**self.head(), attempt=1, executor="local")
        await self.tells(event)

    async def succeeds(self, outputs: dict[str, Any]) -> None:
        """End the build well."""
        event = deployer.DeploymentSucceeded(
            **self.head(),
            hold_id=self.hold_id,
            outputs=self.key.encrypt_json(outputs),
        )
        await self.tells(event)

    async def fails(self, message: str, *, owns_resources: bool = False, **more: Any) -> None:
        """End the build badly."""
        event = deployer.DeploymentFailed(
            **self.head(),
            **more,
            hold_id=self.hold_id,
            error=deployer.BuildError(code="APPLY_FAILED", message=message, platform_fault=False),
            owns_resources=owns_resources,
        )
        await self.tells(event)

    async def cancels(self, cancelled_by: str) -> None:
        """End the build because somebody wanted it."""
        event = deployer.DeploymentCancelled(
            **self.head(),
            hold_id=self.hold_id,
            cancelled_by=cancelled_by,
            owns_resources=False,
        )
        await self.tells(event)

    def head(self) -> dict[str, Any]:
        """Return what every message of the build says."""
        return {
            "deployment_id": self.asked.deployment_id,
            "user_id": self.asked.user_id,
            "build_id": self.build_id,
            "action": self.action,
        }


async def deploys(
    api: Api,
    person: Person,
    variables: Any = None,
    module_id: str = "m-1",
    *,
    project: str | None = None,
    **queued: Any,
) -> Deployer:
    """Have somebody deploy a module, and the deployer accept it; return who plays the deployer."""
    import asyncio

    count = await api.running.pool.fetchval(
        "select count(*) from outbox where subject = $1",
        gateway.DeploymentRequested.bus_subject(),
    )
    body: dict[str, Any] = {
        "module_id": module_id,
        "variables": variables or {"region": "europe"},
    }
    if project is not None:
        body["project"] = project
    asking = asyncio.create_task(person.posts("/api/deployments", body))
    played = Deployer(api, await api.asked(gateway.DeploymentRequested, after=count))
    await played.queues(**queued)
    await asking
    return played


async def earns(
    api: Api,
    hold: ledger.Hold,
    *,
    true_revenue: int,
    partner_share: int | None = None,
    agent_share: int | None = None,
    shares_told: bool = True,
) -> None:
    """Have revenue recognise a settlement, and its payees earn their shares."""
    line = revenue.RevenueRecognized(
        **_line(hold, partner_share=partner_share, agent_share=agent_share),
        line=1,
        earning="settled",
        credit_cost=hold.cost,
        awarded_credits=hold.awarded_credits,
        purchased_credits=hold.purchased_credits,
        true_revenue=Money(amount_minor=true_revenue, currency="USD"),
        slices=_valued(hold.slices),
    )
    await api.tells(f"revenue-{hold.deployment_id}", line)
    for payee_id, role, share in (
        (hold.partner_id, "partner", partner_share),
        (hold.agent_id, "agent", agent_share),
    ):
        if payee_id is None or share is None or not shares_told:
            continue
        await api.tells(f"payee-{payee_id}", share_of(hold, payee_id, role, true_revenue, share))


async def loses(
    api: Api,
    hold: ledger.Hold,
    *,
    true_revenue: int,
    partner_share: int,
    purchased: int,
    left: int,
    at: datetime = NOON,
) -> None:
    """Have revenue reverse a part of a settlement that was refunded: amounts are negative."""
    line = revenue.RevenueReversed(
        **_line(hold, partner_share=partner_share, agent_share=None, at=at),
        line=2,
        reverses=1,
        reversing="settlement_refunded",
        cause="refund-1",
        credit_cost=purchased,
        awarded_credits=0,
        purchased_credits=purchased,
        purchased_left=Credits(left),
        true_revenue=Money(amount_minor=true_revenue, currency="USD"),
        slices=(),
    )
    await api.tells(f"revenue-{hold.deployment_id}", line)
    assert hold.partner_id is not None
    share = revenue.ShareReversed(
        **_share(hold, hold.partner_id, "partner", true_revenue, partner_share, line=2), reverses=1
    )
    await api.tells(f"payee-{hold.partner_id}", share)


def share_of(
    hold: ledger.Hold, payee_id: str, role: Any, true_revenue: int, share: int
) -> revenue.ShareAccrued:
    """A payee earned a share."""
    return revenue.ShareAccrued(**_share(hold, payee_id, role, true_revenue, share, line=1))


def _share(
    hold: ledger.Hold, payee_id: str, role: str, true_revenue: int, share: int, *, line: int
) -> dict[str, Any]:
    return {
        "payee_id": payee_id,
        "payee_role": role,
        "deployment_id": hold.deployment_id,
        "line": line,
        "hold_id": hold.hold_id,
        "module_id": hold.module_id,
        "recognized_at": NOON,
        "true_revenue": Money(amount_minor=true_revenue, currency="USD"),
        "share_basis_points": 3000 if role == "partner" else 1000,
        "share": Money(amount_minor=share, currency="USD"),
        "running_total": Money(amount_minor=share, currency="USD"),
        "remainder_before": 0,
        "remainder_after": 0,
    }


def _line(
    hold: ledger.Hold,
    *,
    partner_share: int | None,
    agent_share: int | None,
    at: datetime = NOON,
) -> dict[str, Any]:
    return {
        "deployment_id": hold.deployment_id,
        "hold_id": hold.hold_id,
        "user_id": hold.user_id,
        "module_id": hold.module_id,
        "module_name": hold.module_name,
        "module_version": 1,
        "partner_id": hold.partner_id,
        "agent_id": hold.agent_id,
        "project": None,
        "settings_version": 1,
        "partner_basis_points": 3000 if partner_share is not None else 0,
        "agent_basis_points": 1000 if agent_share is not None else 0,
        "ledger_entry": revenue.LedgerEntry(
            message_id="message-1", stream=f"wallet-{hold.user_id}", sequence=3
        ),
        "requested_at": NOON,
        "recognized_at": at,
    }


def _valued(slices: tuple[ledger.Slice, ...]) -> tuple[revenue.ValuedSlice, ...]:
    return tuple(revenue.ValuedSlice(**dict(each), revenue_minor=0) for each in slices)
