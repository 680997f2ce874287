"""What an update keeps of values that nobody is shown."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from contracts.deployer import v1
from contracts.events import PROBLEMS_MAX
from contracts.gateway import v1 as gateway
from contracts.variables import MASK
from runtime.work import Outcome
from services.deployer.commands import Request
from services.deployer.events import UpdateQueued
from services.deployer.knowledge import DATA_KEY
from services.deployer.knowledge import DataKey as KeptDataKey
from tests.unit.deployer.story import ACCEPTED, NOON, QUEUE, START, SUCCEED, end, inputs
from tests.unit.deployer.test_handlers import KEY, MASTER_KEY, REGION, TOKEN, Desk, published

OPEN_TOKEN = TOKEN.model_copy(update={"sensitive": False})
MADE_OF = {"region": "here", "token": "hunter2"}


@pytest.fixture
def desk() -> Desk:
    """Give handlers that know a deployment with a sensitive value, and versions of its module.

    The first two hold the value sensitive, the third one shows it.
    """
    desk = Desk()
    for version, variables in (
        (1, (REGION, TOKEN)),
        (2, (REGION, TOKEN)),
        (3, (REGION, OPEN_TOKEN)),
    ):
        module = published(module_version=version)
        definition = module.definition.model_copy(update={"variables": variables})
        desk.take(module.model_copy(update={"definition": definition}), stream="module-m1")
    made_of = msgspec.structs.replace(inputs(1), variables=KEY.encrypt_json(MADE_OF))
    ask = Request(accepted=msgspec.structs.replace(ACCEPTED, inputs=made_of))
    desk.stand(ask, QUEUE, START, end(SUCCEED))
    kept = KeptDataKey(wrapped=KEY.wrap(MASTER_KEY))
    desk.documents[DATA_KEY, "d1"] = msgspec.msgpack.encode(kept)
    return desk


def update(version: int, values: dict[str, Any]) -> gateway.DeploymentUpdateRequested:
    return gateway.DeploymentUpdateRequested(
        request_id="r1",
        requested_by="ada",
        requested_at=NOON,
        expires_at=NOON + timedelta(minutes=5),
        deployment_id="d1",
        module_id="m1",
        module_version=version,
        variables=KEY.encrypt_json(values),
    )


def values_of(outcome: Outcome) -> Any:
    [record] = outcome.records
    assert isinstance(record.fact, UpdateQueued)
    return KEY.decrypt_json(record.fact.inputs.variables)


@pytest.mark.parametrize("given", [{}, {"token": MASK}])
def test_what_stays_sensitive_is_kept_unsaid(desk: Desk, given: dict[str, Any]) -> None:
    outcome = desk.take(update(2, {"region": "there", **given}))
    assert values_of(outcome) == {"region": "there", "token": "hunter2"}


@pytest.mark.parametrize("given", [{}, {"token": MASK}])
def test_what_a_version_would_show_is_not_kept_unsaid(desk: Desk, given: dict[str, Any]) -> None:
    outcome = desk.take(update(3, {"region": "there", **given}))
    [told] = outcome.published
    assert isinstance(told.data, v1.RequestRefused)
    assert (outcome.records, told.data.code) == ((), "INVALID_VARIABLES")
    [error] = told.data.errors
    assert (error.pointer, error.code) == ("/variables/token", "NO_LONGER_SENSITIVE")


def test_what_a_version_shows_may_be_said_anew(desk: Desk) -> None:
    outcome = desk.take(update(3, {"region": "there", "token": "for all to see"}))
    assert values_of(outcome) == {"region": "there", "token": "for all to see"}


def test_of_very_many_problems_as_many_are_told_as_a_message_may_carry(desk: Desk) -> None:
    secrets = tuple(TOKEN.model_copy(update={"name": f"token_{n}"}) for n in range(150))
    shown = tuple(secret.model_copy(update={"sensitive": False}) for secret in secrets)
    module = published(module_version=4)
    definition = module.definition.model_copy(update={"variables": (REGION, *shown)})
    desk.take(module.model_copy(update={"definition": definition}), stream="module-m1")
    values = {"region": "here"} | {secret.name: "hunter2" for secret in secrets}
    made_of = msgspec.structs.replace(
        inputs(1),
        variables=KEY.encrypt_json(values),
        sensitive=tuple(secret.name for secret in secrets),
    )
    desk.stand(
        Request(accepted=msgspec.structs.replace(ACCEPTED, inputs=made_of)),
        QUEUE, START, end(SUCCEED),
    )  # fmt: skip
    [told] = desk.take(update(4, {f"no_variable_{n}": 1 for n in range(150)})).published
    assert isinstance(told.data, v1.RequestRefused)
    assert len(told.data.errors) == PROBLEMS_MAX
