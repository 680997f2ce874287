"""What Cloud Build notifies, however it is put."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.deployer.cloud_build import Notification, notification

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_a_build_is_read_with_its_substitutions() -> None:
    told = {"id": "b1", "status": "WORKING", "substitutions": {"_BUILD_ID": "x"}, "steps": [{}]}
    read = notification(json.dumps(told).encode())
    assert read == Notification("b1", "WORKING", {"_BUILD_ID": "x"})


def test_a_build_without_substitutions_is_somebody_elses_and_read_all_the_same() -> None:
    assert notification(b'{"id":"b1","status":"QUEUED"}') == Notification("b1", "QUEUED", {})


@given(st.binary(max_size=200))
def test_bytes_that_are_no_build_are_nothing(data: bytes) -> None:
    assert notification(data) is None


@given(st.fixed_dictionaries({"id": ANYTHING, "status": ANYTHING, "substitutions": ANYTHING}))
def test_json_that_is_no_build_raises_nothing(told: object) -> None:
    read = notification(json.dumps(told).encode())
    assert read is None or all(isinstance(v, str) for v in read.substitutions.values())
