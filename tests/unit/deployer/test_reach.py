"""Which addresses a build may reach."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployer.runner.way_out import Reach

OWN = frozenset({ip_address("203.0.114.7"), ip_address("10.1.0.5"), ip_address("127.0.0.1")})
NOWHERE_ELSE = Reach((), OWN)
OFFICE = Reach(("10.1.0.0/16", "fd00::/64"), OWN)


@pytest.mark.parametrize(
    ("reach", "address", "reached"),
    [
        (NOWHERE_ELSE, "1.1.1.1", True),
        (NOWHERE_ELSE, "2606:4700::1111", True),
        (NOWHERE_ELSE, "::ffff:1.1.1.1", True),
        (NOWHERE_ELSE, "203.0.114.7", False),
        (NOWHERE_ELSE, "::ffff:203.0.114.7", False),
        (NOWHERE_ELSE, "127.0.0.2", False),
        (NOWHERE_ELSE, "10.1.2.3", False),
        (NOWHERE_ELSE, "100.64.0.1", False),
        (NOWHERE_ELSE, "169.254.169.254", False),
        (NOWHERE_ELSE, "224.0.0.1", False),
        (NOWHERE_ELSE, "240.0.0.1", False),
        (NOWHERE_ELSE, "::", False),
        (NOWHERE_ELSE, "::1", False),
        (NOWHERE_ELSE, "::127.0.0.1", False),
        (NOWHERE_ELSE, "64:ff9b::7f00:1", False),
        (NOWHERE_ELSE, "2002:7f00:1::", False),
        (NOWHERE_ELSE, "fe80::1", False),
        (NOWHERE_ELSE, "fd00::1", False),
        (OFFICE, "10.1.2.3", True),
        (OFFICE, "::ffff:10.1.2.3", True),
        (OFFICE, "fd00::1", True),
        (OFFICE, "10.1.0.5", False),
        (OFFICE, "10.2.0.1", False),
    ],
)
def test_only_public_addresses_and_networks_that_are_named(
    reach: Reach, address: str, reached: bool
) -> None:
    assert reach.includes(ip_address(address)) is reached


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_in_either_notation(address: object) -> None:
    mapped = ip_address(f"::ffff:{address}")
    assert NOWHERE_ELSE.includes(mapped) is NOWHERE_ELSE.includes(ip_address(str(address)))
