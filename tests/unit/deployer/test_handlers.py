"""What becomes of messages: the order in which refusals win, and what is kept of modules."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from contracts.catalog import v1 as catalog
from contracts.deployer import v1
from contracts.envelope import Envelope
from contracts.events import Event
from contracts.gateway import v1 as gateway
from contracts.types import Credits
from runtime.ids import new_id
from runtime.sealing import DataKey, generate_sealing_key
from runtime.store import Head
from runtime.work import Outcome, Work
from services.deployer.commands import DeploymentCommand
from services.deployer.events import DeploymentRefused, HoldRequested
from services.deployer.handlers import DeployerHandlers
from services.deployer.knowledge import DATA_KEY
from services.deployer.knowledge import DataKey as KeptDataKey
from services.deployer.publishing import DEPLOYMENT
from tests.unit.deployer.story import ASK, NOON, QUEUE, given

PRIVATE, PUBLIC = generate_sealing_key()
KEY, MASTER_KEY = DataKey.generate(), DataKey.generate()
REGION = catalog.Variable(
    name="region", type="string", description="", required=True, options=("here", "there")
)
SIZE = catalog.Variable(name="size", type="number", description="", required=False, default=3)
TOKEN = catalog.Variable(
    name="token", type="string", description="", required=False, sensitive=True
)


class Desk:
    """Handlers, with what they know of others."""

    def __init__(self) -> None:
        self.woken = 0
        self.documents: dict[tuple[str, str], bytes] = {}
        self.heads: dict[str, Head] = {}
        self.handlers = DeployerHandlers(
            sealing_key=PRIVATE, master_key=MASTER_KEY, wake=self._wake
        )

    def _wake(self) -> None:
        self.woken += 1

    def stand(self, *commands: DeploymentCommand) -> None:
        """Let the deployment d1 be as it is after commands."""
        head = Head("deployment-d1", state=msgspec.msgpack.encode(given(*commands)))
        self.heads[head.name] = head

    def take(self, event: Event, now: datetime = NOON, stream: str = "request-r1") -> Outcome:
        """Handle a message, and keep what comes of it."""
        envelope: Envelope[Any] = Envelope.model_construct(
            id=new_id(),
            source="/tollgate/gateway",
            type=event.type_name(),
            subject=stream,
            time=now,
            dataschema=event.schema_id(),
            partitionkey=stream,
            sequence=1,
            correlationid="r1",
            data=event,
        )
        needs = self.handlers.needs(envelope)
        known = {
            place: self.documents[place] for place in needs.documents if place in self.documents
        }
        work = Work(
            service="deployer",
            kinds=(DEPLOYMENT,),
            refused=v1.RequestRefused,
            now=now,
            heads={name: self.heads.get(name, Head(name)) for name in needs.streams},
            documents=known,
            declared_documents=frozenset(needs.documents),
        )
        work.begin(envelope, None)
        self.handlers.handle(envelope, work)
        for effect in work.effects:
            effect()
        changes = work.finish()
        self.heads |= {head.name: head for head in changes.heads}
        kept = {place: body for place, body in changes.documents.items() if body is not None}
        self.documents |= kept
        return work.end()


def published(**changed: Any) -> catalog.ModulePublished:
    definition = catalog.Definition(
        name="network",
        title="Network",
        description="",
        credit_cost=Credits(50),
        require_credit_purchases=changed.pop("premium", False),
        public_access=changed.pop("public_access", True),
        documentation=None,
        tags=(),
        variables=(REGION, SIZE, TOKEN),
        outputs=(),
        readme=None,
    )
    fields: dict[str, Any] = {
        "module_id": "m1",
        "source": "admin",
        "partner_id": None,
        "module_version": 1,
        "definition": definition,
        "repository": "file:///modules",
        "path": "network",
        "commit": "c0ffee",
        "archive_digest": f"sha256:{'0' * 64}",
        "published_at": NOON,
    }
    return catalog.ModulePublished(**(fields | changed))


WITHDRAWN = catalog.ModuleWithdrawn(module_id="m1", withdrawn_at=NOON)


def request(values: Any = None, **changed: Any) -> gateway.DeploymentRequested:
    fields: dict[str, Any] = {
        "request_id": "r1",
        "requested_by": "ada",
        "requested_at": NOON,
        "expires_at": NOON + timedelta(minutes=5),
        "deployment_id": "d1",
        "user_id": "ada",
        "module_id": "m1",
        "module_version": None,
        "project": "blue",
        "variables": KEY.encrypt_json({"region": "here"} if values is None else values),
        "sealed_data_key": KEY.seal_for(PUBLIC),
    }
    return gateway.DeploymentRequested(**(fields | changed))


@pytest.fixture
def desk() -> Desk:
    """Give handlers that know one module of the platform's."""
    desk = Desk()
    desk.take(published(), stream="module-m1")
    return desk


def refusal(outcome: Outcome) -> DeploymentRefused:
    [record] = outcome.records
    assert isinstance(record.fact, DeploymentRefused)
    return record.fact


def accepted(outcome: Outcome) -> HoldRequested:
    [record] = outcome.records
    assert isinstance(record.fact, HoldRequested)
    return record.fact


PRIVATE_MODULE = published(source="partner", partner_id="pat", public_access=False)
WRONG_KEY = DataKey.generate().seal_for(generate_sealing_key()[1])
WRONG = {"region": "mars"}

# Each row is wrong in everything that comes after it too, so that the order is what decides.
GATE = [
    ("REQUEST_EXPIRED", PRIVATE_MODULE, True,
     request(WRONG, module_version=9, sealed_data_key=WRONG_KEY, expires_at=NOON)),
    ("UNKNOWN_MODULE", PRIVATE_MODULE, True,
     request(WRONG, module_version=9, sealed_data_key=WRONG_KEY)),
    ("MODULE_WITHDRAWN", published(), True,
     request(WRONG, module_version=9, sealed_data_key=WRONG_KEY)),
    ("UNKNOWN_MODULE_VERSION", published(), False,
     request(WRONG, module_version=9, sealed_data_key=WRONG_KEY)),
    ("UNREADABLE_VARIABLES", published(), False, request(WRONG, sealed_data_key=WRONG_KEY)),
    ("INVALID_VARIABLES", published(), False, request(WRONG)),
]  # fmt: skip


class TestGate:
    @pytest.mark.parametrize(
        ("code", "module", "withdrawn", "asked"), GATE, ids=[row[0] for row in GATE]
    )
    def test_the_first_refusal_that_applies_wins(
        self,
        code: str,
        module: catalog.ModulePublished,
        withdrawn: bool,
        asked: gateway.DeploymentRequested,
    ) -> None:
        desk = Desk()
        desk.take(module, stream="module-m1")
        if withdrawn:
            desk.take(WITHDRAWN, stream="module-m1")
        outcome = desk.take(asked)
        assert refusal(outcome).code == code
        [told] = outcome.published
        assert isinstance(told.data, v1.DeploymentRefused)
        assert (told.data.code, told.correlationid) == (code, "r1")
        assert not any(collection == DATA_KEY for collection, _ in desk.documents)

    def test_a_module_that_was_never_heard_of_is_unknown(self) -> None:
        assert refusal(Desk().take(request())).code == "UNKNOWN_MODULE"

    def test_a_private_module_is_as_unknown_to_others_as_one_that_is_not_there(self) -> None:
        desk = Desk()
        desk.take(PRIVATE_MODULE, stream="module-m1")
        hidden = refusal(desk.take(request()))
        assert hidden == refusal(Desk().take(request()))

    def test_its_owner_deploys_a_private_module(self) -> None:
        desk = Desk()
        desk.take(PRIVATE_MODULE, stream="module-m1")
        assert accepted(desk.take(request(user_id="pat"))).partner_id == "pat"

    def test_a_public_module_of_a_partners_is_for_all(self) -> None:
        desk = Desk()
        desk.take(published(source="partner", partner_id="pat"), stream="module-m1")
        assert accepted(desk.take(request())).partner_id == "pat"

    @pytest.mark.parametrize(
        ("values", "errors"),
        [
            ({}, ["/variables/region"]),
            ({"region": "mars"}, ["/variables/region"]),
            ({"region": "here", "size": "big"}, ["/variables/size"]),
            ({"region": "here", "colour": 1}, ["/variables/colour"]),
            ({"region": "mars", "size": "big", "colour": 1},
             ["/variables/colour", "/variables/region", "/variables/size"]),
        ],
    )  # fmt: skip
    def test_every_variable_that_is_wrong_is_pointed_at(
        self, desk: Desk, values: Any, errors: list[str]
    ) -> None:
        refused = refusal(desk.take(request(values)))
        assert refused.code == "INVALID_VARIABLES"
        assert sorted(error.pointer for error in refused.errors) == errors

    @pytest.mark.parametrize("values", [[], "text", 7, None])
    def test_variables_that_are_no_object_cannot_be_read(self, desk: Desk, values: Any) -> None:
        asked = request(variables=KEY.encrypt_json(values))
        assert refusal(desk.take(asked)).code == "UNREADABLE_VARIABLES"

    def test_variables_under_another_key_cannot_be_read(self, desk: Desk) -> None:
        asked = request(variables=DataKey.generate().encrypt_json({"region": "here"}))
        assert refusal(desk.take(asked)).code == "UNREADABLE_VARIABLES"


class TestRequests:
    def test_one_that_is_valid_asks_for_a_hold_of_the_price(self, desk: Desk) -> None:
        outcome = desk.take(request())
        fact = accepted(outcome)
        assert (fact.list_price, fact.project, fact.inputs.module_version) == (50, "blue", 1)
        [told] = outcome.published
        assert isinstance(told.data, v1.HoldRequested)
        assert (told.data.hold_id, told.data.list_price) == (fact.hold_id, 50)

    def test_terraform_gets_the_defaults_and_the_sensitive_ones_are_named(self, desk: Desk) -> None:
        fact = accepted(desk.take(request()))
        assert KEY.decrypt_json(fact.inputs.terraform_variables) == {"region": "here", "size": 3}
        assert KEY.decrypt_json(fact.inputs.variables) == {"region": "here"}
        assert fact.inputs.sensitive == ("token",)

    def test_the_second_time_nothing_happens(self, desk: Desk) -> None:
        desk.take(request())
        assert desk.take(request()).records == ()
        assert desk.take(request(WRONG)).published == ()

    def test_an_older_version_stays_deployable(self, desk: Desk) -> None:
        newer = published(module_version=2, archive_digest=f"sha256:{'2' * 64}")
        desk.take(newer, stream="module-m1")
        fact = accepted(desk.take(request(module_version=1)))
        assert fact.inputs.module_version == 1
        assert fact.inputs.source.archive_digest == f"sha256:{'0' * 64}"

    def test_the_data_key_is_kept_wrapped(self, desk: Desk) -> None:
        desk.take(request())
        kept = msgspec.msgpack.decode(desk.documents[DATA_KEY, "d1"], type=KeptDataKey)
        assert DataKey.unwrap(kept.wrapped, MASTER_KEY).raw == KEY.raw
        assert KEY.raw not in desk.documents[DATA_KEY, "d1"]

    def test_the_newest_version_is_meant_where_none_is_named(self, desk: Desk) -> None:
        desk.take(published(module_version=2), stream="module-m1")
        assert accepted(desk.take(request())).inputs.module_version == 2


class TestCancelling:
    def asked(self, **changed: Any) -> gateway.DeploymentCancelRequested:
        fields: dict[str, Any] = {
            "request_id": "r1",
            "requested_by": "ada",
            "requested_at": NOON,
            "expires_at": NOON + timedelta(minutes=5),
            "deployment_id": "d1",
        }
        return gateway.DeploymentCancelRequested(**(fields | changed))

    def code(self, outcome: Outcome) -> str:
        [told] = outcome.published
        assert isinstance(told.data, v1.RequestRefused)
        assert (outcome.records, told.data.request_id) == ((), "r1")
        return told.data.code

    def test_one_that_has_expired_is_refused_whatever_it_asks_for(self, desk: Desk) -> None:
        assert self.code(desk.take(self.asked(expires_at=NOON))) == "REQUEST_EXPIRED"

    def test_what_is_not_there_is_refused(self, desk: Desk) -> None:
        assert self.code(desk.take(self.asked())) == "UNKNOWN_DEPLOYMENT"

    def test_what_is_not_queued_yet_is_refused(self, desk: Desk) -> None:
        desk.stand(ASK)
        assert self.code(desk.take(self.asked())) == "ILLEGAL_TRANSITION"

    def test_who_asked_is_the_actor(self, desk: Desk) -> None:
        desk.stand(ASK, QUEUE)
        [record] = desk.take(self.asked()).records
        assert (record.actor, record.fact.cancelled_by) == ("ada", "ada")
