"""The passwords of a service's database and bus are changed on a running system, without a gap."""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Callable
from typing import Any, Final

import httpx2
import pytest

from runtime.migrate import service_role
from tests.e2e.kept import when_quiet
from tests.e2e.replicas import replica
from tests.e2e.system import System
from tests.support.story import Story, balance, deploy, module, succeeds, wait_for
from tollgate.target import environment_of

pytestmark = [pytest.mark.timeout(300)]

MODULE: Final = "uptime-alerts"
VALUES: Final = {"addresses": ["www.example.org"]}
SERVICE: Final = "ledger"
SECOND: Final = "ledger-2"
SECOND_LOGIN: Final = f"{service_role(SERVICE)}_2"
ANSWER_SECONDS_MAX: Final = 5


Users = list[dict[str, Any]]


def configure_bus(system: System, change: Callable[[Users], Users]) -> Users:
    """Change the users of the bus in its configuration, and reload it; return those before."""
    file = system.data_dir / "nats" / "nats.conf"
    configured = json.loads(file.read_text())
    before: Users = configured["authorization"]["users"]
    configured["authorization"]["users"] = change(before)
    file.write_text(json.dumps(configured))
    os.kill(system.endpoints["servers"]["nats"], signal.SIGHUP)
    return before


def test_passwords_are_changed_while_work_goes_on(published: Story) -> None:
    system, user = published.system, published.user
    card = module(user, MODULE)
    before = balance(user)
    password = secrets.token_urlsafe(24)

    # 1. Both logins work.
    def with_second(users: Users) -> Users:
        [first] = [each for each in users if each["user"] == SERVICE]
        return [*users, first | {"user": SECOND, "password": password}]

    as_before = configure_bus(system, with_second)
    opened = system.run("db", "login", SERVICE, SECOND_LOGIN, stdin=f"{password}\n")
    assert opened.returncode == 0, opened.stderr
    assert opened.stdout.split() == [service_role(SERVICE), SECOND_LOGIN]
    assert password not in opened.stdout + opened.stderr

    # 2. The service is rolled: a process with the new ones, and then none with the old ones.
    environment = environment_of(system.data_dir)
    dsn = environment.service_dsn(SERVICE).replace(
        f"//{service_role(SERVICE)}:{environment.secrets.databases[SERVICE]}@",
        f"//{SECOND_LOGIN}:{password}@",
    )
    assert SECOND_LOGIN in dsn
    with replica(
        system, SERVICE, nats_user=SECOND, nats_password=password, postgres_dsn=dsn
    ) as rolled:
        asked = deploy(user, card, VALUES)

        # 3. The old ones are taken away from under a process that still uses them.
        configure_bus(system, lambda users: [each for each in users if each["user"] != SERVICE])
        locked = system.run("db", "login", SERVICE, service_role(SERVICE), "--lock")
        assert locked.stdout.split() == [SECOND_LOGIN], locked.stderr
        wait_for("the old process to say so", lambda: is_ready(system), lambda ready: not ready)

        succeeds(user, asked["id"])
        succeeds(user, deploy(user, card, VALUES)["id"])
        assert rolled.is_ready()
        left = (before[0] - 2 * asked["credit_cost"], before[1], 0)
        wait_for("both settlements", lambda: balance(user), lambda now: now == left)
        refused = system.run("db", "login", SERVICE, SECOND_LOGIN, "--lock")
        assert refused.returncode == 1
        assert "the only login" in refused.stderr

        # And back, as the next change does.
        first = environment.secrets.databases[SERVICE]
        again = system.run("db", "login", SERVICE, service_role(SERVICE), stdin=f"{first}\n")
        assert again.returncode == 0, again.stderr
        configure_bus(system, lambda _: as_before)
        system.wait_until_ready()
    asyncio.run(when_quiet(system))
    assert balance(user) == left


def is_ready(system: System) -> bool:
    """Return whether the service's own process says that it is; one that has ended says nothing."""
    url = system.endpoints["services"][SERVICE]["health_url"]
    try:
        answer = httpx2.get(f"{url}/readyz", timeout=ANSWER_SECONDS_MAX)
    except httpx2.TransportError:
        return False
    return bool(answer.status_code == httpx2.codes.OK)
