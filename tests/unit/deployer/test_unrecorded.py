"""What a Terraform that was killed had made, and no state has, is named by its address."""

import json

import pytest

from services.deployer.runner.unrecorded import MADE_MAX, Unrecorded


def completion(address: str, action: str = "create", **more: str) -> str:
    hook = {"resource": {"addr": address}, "action": action, **more}
    return json.dumps({"type": "apply_complete", "hook": hook}, separators=(",", ":"))


def state(*resources: dict[str, object]) -> bytes:
    return json.dumps({"version": 4, "resources": resources}).encode()


def resource(**more: object) -> dict[str, object]:
    usual = {"mode": "managed", "type": "thing", "name": "made", "instances": [{}]}
    return usual | more


def test_what_was_made_and_no_state_has_is_left_with_its_id() -> None:
    made = Unrecorded()
    made.take(completion("thing.made", id_key="id", id_value="17"))
    made.take(completion("thing.other"))
    assert made.left([b""]) == ["thing.made (id=17)", "thing.other"]
    assert made.left([state(resource())]) == ["thing.other"]
    assert made.left([state(resource()), state(resource(name="other"))]) == []


@pytest.mark.parametrize(
    ("address", "recorded"),
    [
        ("thing.made[0]", resource(instances=[{"index_key": 0}])),
        ('thing.made["a"]', resource(instances=[{"index_key": "a"}])),
        ('thing.made["é \\"q\\" $${x}"]', resource(instances=[{"index_key": 'é "q" ${x}'}])),
        ("module.m.thing.made", resource(module="module.m")),
        ('module.m["x"].thing.made[1]',
         resource(module='module.m["x"]', instances=[{"index_key": 0}, {"index_key": 1}])),
    ],
)  # fmt: skip
def test_addresses_of_a_state_are_those_that_terraform_prints(
    address: str, recorded: dict[str, object]
) -> None:
    made = Unrecorded()
    made.take(completion(address))
    assert made.left([state(resource(name="other"))]) == [address]
    assert made.left([state(recorded)]) == []


def test_what_was_deleted_again_or_only_read_is_not_left() -> None:
    made = Unrecorded()
    made.take(completion("thing.made"))
    made.take(completion("thing.made", action="delete"))
    made.take(completion("thing.changed", action="update"))
    assert made.left([]) == []
    made.take(completion("thing.made"))
    assert made.left([state(resource(mode="data"))]) == ["thing.made"]


@pytest.mark.parametrize(
    "line",
    ['"type":"apply_complete"', '{"type":"apply_complete"}', '{"type":"apply_complete","hook":1}',
     '{"type":"apply_complete","hook":{"action":"create","resource":{"addr":1}}}',
     "[" * 100_000 + '"type":"apply_complete"'],
    ids=["no JSON", "no hook", "no object", "no text", "too deep"],
)  # fmt: skip
def test_lines_that_are_not_terraforms_are_passed_over(line: str) -> None:
    made = Unrecorded()
    made.take(line)
    assert made.left([]) == []


@pytest.mark.parametrize(
    "broken", [b"", b"[]", b"{", b'{"resources": 1}', b'{"resources": [{"mode": "managed"}]}']
)
def test_a_state_of_no_known_shape_has_nothing(broken: bytes) -> None:
    made = Unrecorded()
    made.take(completion("thing.made"))
    assert made.left([broken]) == ["thing.made"]


def test_no_more_is_remembered_than_the_bound() -> None:
    made = Unrecorded()
    for number in range(MADE_MAX + 10):
        made.take(completion(f"thing.made[{number}]"))
    assert len(made.left([])) == MADE_MAX
