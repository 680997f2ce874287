"""Two processes of every service on one set of databases, and one of them that goes."""

import asyncio
import signal
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import httpx2
import pytest

from tests.e2e.invariants import broken
from tests.e2e.kept import when_quiet
from tests.e2e.person import Person
from tests.e2e.replicas import replica
from tests.e2e.system import SERVICES
from tests.support.story import Story, balance, deploy, module, succeeds, wait_for

pytestmark = [pytest.mark.timeout(300)]

MODULE: Final = "uptime-alerts"
VALUES: Final = {"addresses": ["www.example.org"]}
PRICE: Final = 5
STOP_SECONDS_MAX: Final = 30
WRITES_ONE_IN: Final = 5
CALLS_BEFORE_STOP: Final = 100
CALLS_AFTER_STOP: Final = 100


@dataclass
class Caller:
    """A client with connections of its own, behind a balancer that sends it to the first address.

    It goes elsewhere only where it is not let in.
    """

    addresses: list[str]
    token: str
    enough: threading.Event
    answered: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def call(self) -> None:
        """Call again and again, reads and writes, until told that it is enough."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        with httpx2.Client(timeout=20, headers=bearer) as client:
            for number in count(1):
                if self.enough.is_set():
                    return
                try:
                    self.answered.append(self._once(client, number).status_code)
                except httpx2.TransportError as error:
                    self.failed.append(repr(error))

    def _once(self, client: httpx2.Client, number: int) -> httpx2.Response:
        method, path = ("PUT", "/pin") if number % WRITES_ONE_IN == 0 else ("GET", "")
        for address in tuple(self.addresses):
            try:
                return client.request(method, f"{address}{path}")
            except httpx2.ConnectError:
                continue
        raise httpx2.ConnectError("nobody lets us in")


def test_a_gateway_is_drained_under_load_and_no_call_fails(published: Story) -> None:
    system = published.system
    card = module(published.user, MODULE)
    people = (published.user, published.finance, published.partner, published.admin)
    tokens = [each.posts("/api/tokens", {"name": "load"})["token"] for each in people]
    enough = threading.Event()
    with replica(system, "gateway", linger_seconds="4") as leaving:
        addresses = [f"{url}/api/modules/{card['id']}" for url in (leaving.url, system.url)]
        callers = [Caller(addresses, token, enough) for token in tokens]
        threads = [threading.Thread(target=caller.call) for caller in callers]
        for thread in threads:
            thread.start()
        try:
            answered(callers, CALLS_BEFORE_STOP)
            leaving.signal(signal.SIGTERM)
            # As a balancer does: who is not ready gets no new connections.
            wait_for("unreadiness", leaving.is_ready, lambda ready: not ready)
            addresses.pop(0)
            assert leaving.child.process.wait(STOP_SECONDS_MAX) == 0
            answered(callers, sum(len(each.answered) for each in callers) + CALLS_AFTER_STOP)
        finally:
            enough.set()
            for thread in threads:
                thread.join()
    assert [each.failed for each in callers] == [[] for _ in callers]
    assert {status for each in callers for status in each.answered} <= {200, 204}


def answered(callers: list[Caller], count: int) -> None:
    """Return once the callers have had so many answers."""
    wait_for(
        f"{count} answers",
        lambda: sum(len(each.answered) for each in callers),
        lambda found: found >= count,
    )


def test_two_of_every_service_work_once_and_one_takes_over_when_the_other_dies(
    published: Story,
) -> None:
    system, user = published.system, published.user
    before = balance(user)[0]
    card = module(user, MODULE)
    with ExitStack() as stack:
        others = {name: stack.enter_context(replica(system, name)) for name in SERVICES}
        elsewhere = Person(others["gateway"].url, user.email, user.password)
        second = stack.enter_context(elsewhere).signs_in()

        asked = [deploy((user, second)[n % 2], card, VALUES)["id"] for n in range(4)]
        for name in ("ledger", "revenue", "catalog"):
            others[name].signal(signal.SIGKILL)
        asked += [deploy((user, second)[n % 2], card, VALUES)["id"] for n in range(4)]
        for each in asked:
            succeeds(second, each)
        for name in ("deployer", "gateway"):
            others[name].signal(signal.SIGKILL)
        asked.append(deploy(user, card, VALUES)["id"])
        succeeds(user, asked[-1])

    asyncio.run(when_quiet(system))
    assert balance(user) == (before - PRICE * len(asked), 0, 0)
    assert asyncio.run(broken(system)) == []
