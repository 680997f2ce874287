"""Whatever becomes of a sender, a receiver or a name: nothing is lost, and nobody is delayed."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest_asyncio
from aiohttp import web

from contracts.webhook_rules import ENDPOINTS_MAX
from services.revenue.webhooks.leases import claim
from tests.integration.revenue.hooks import ACCRUED, SECRET, Hooks, running_hooks
from tests.integration.revenue.receivers import Receiver, receiver
from tests.support.environment import Database
from tests.support.tools import lacking, program

ROOT = Path(__file__).parents[3]
ENDPOINTS = 1_000
VERIFY_JS = """
const { Webhook } = require("standardwebhooks");
let text = "";
process.stdin.on("data", (chunk) => (text += chunk));
process.stdin.on("end", () => {
  const sent = JSON.parse(text);
  Date.now = () => Number(sent.headers["webhook-timestamp"]) * 1000;
  const event = new Webhook(sent.secret).verify(sent.body, sent.headers);
  process.stdout.write(event.id);
});
"""


@pytest_asyncio.fixture
async def hooks(database_for: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Hooks]:
    async with running_hooks(await database_for("revenue")) as running:
        yield running


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


async def test_what_a_killed_sender_had_in_hand_is_sent_again(hooks: Hooks, here: Receiver) -> None:
    """One that is killed leaves its lease: once that ends, and not before, somebody sends."""
    await hooks.registers(here.url)
    await hooks.earns()
    [leased] = await claim(
        hooks.running.pool, hooks.clock.now(), lease_for=timedelta(seconds=60), limit=10
    )
    assert leased.url == here.url
    async with hooks.sending():
        hooks.clock.advance(timedelta(seconds=59))
        await asyncio.sleep(0.5)
        assert here.sent == []
        hooks.clock.advance(timedelta(seconds=1))
        await hooks.until("webhook_delivered")
    assert len(here.sent) == 1


async def test_a_sender_that_stops_leaves_its_endpoints_to_others_at_once(
    hooks: Hooks, here: Receiver
) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    here.respond = never
    await hooks.registers(here.url)
    await hooks.earns()
    async with hooks.sending():
        await here.came.wait()
    here.respond = None
    async with hooks.sending():
        await hooks.until("webhook_delivered")
    first, second = here.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_several_senders_share_the_work_and_send_nothing_twice(
    hooks: Hooks, here: Receiver
) -> None:
    for owner in ("pia", "paul", "petra"):
        await hooks.registers(here.url, owner=owner)
        await hooks.earns(partner=owner, lines=40)
    async with hooks.sending(), hooks.sending(), hooks.sending():
        await hooks.until("webhook_delivered", 120)
    ids = [each.headers["webhook-id"] for each in here.sent]
    assert len(ids) == len(set(ids)) == 120


async def test_a_thousand_endpoints_are_told_while_some_never_answer(hooks: Hooks) -> None:
    """Those that never answer hold no other up: all others have theirs before one gives up."""
    answered = asyncio.Event()

    async def never(_: web.Request) -> web.StreamResponse:
        await answered.wait()
        return web.Response(status=204)

    async with receiver(never) as slow, receiver() as good:
        owners = [f"p{n}" for n in range(ENDPOINTS // ENDPOINTS_MAX)]
        for owner in owners:
            for n in range(ENDPOINTS_MAX):
                await hooks.registers(slow.url if n == 0 else good.url, owner=owner)
            await hooks.earns(partner=owner)
        expected = ENDPOINTS - len(owners)
        async with hooks.sending():
            await hooks.until("webhook_delivered", expected)
            assert len(good.sent) == expected
            answered.set()
            # On a slow machine some have been given up by now, and are tried again.
            hooks.clock.advance(timedelta(seconds=10))
            await hooks.until("webhook_delivered", ENDPOINTS)
        told = {each.headers["webhook-id"] for each in slow.sent}
        assert (len(good.sent), len(told)) == (expected, len(owners))


class Rebinding:
    """A name that leads to a public address when it is first looked up, and home after that."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        assert (host, port) == ("hooks.partner.dev", 443)
        self.asked += 1
        address = self.addresses[min(self.asked, len(self.addresses)) - 1]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, address)]


async def test_a_name_that_leads_home_is_refused_at_every_attempt(
    database_for: Callable[[str], Awaitable[Database]],
) -> None:
    failed: list[dict[str, Any]] = []
    lookup = Rebinding("10.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "64:ff9b::7f00:1")
    database = await database_for("revenue")
    async with running_hooks(database, allow_private_webhooks=False) as hooks:
        await hooks.registers("https://hooks.partner.dev/hook")
        await hooks.earns()
        async with hooks.sending(lookup):
            for attempt in range(1, 5):
                failed = await hooks.until("webhook_attempt_failed", attempt)
                hooks.clock.advance(timedelta(hours=3))
    assert {each["error"] for each in failed} == {"the address is not on the public internet"}
    assert lookup.asked == 4


def test_a_name_server_that_answers_one_thing_and_then_another_leads_nobody_home() -> None:
    """On a machine of its own: a real resolver, a real server of names, a socket that listens."""
    alone = [program("unshare"), "--user", "--map-root-user", "--net", "--mount"]
    trial = subprocess.run([*alone, "true"], check=False, capture_output=True)
    if trial.returncode != 0:
        lacking("namespaces", "this machine makes none for users")
    command = [*alone, sys.executable, "-m", "tests.integration.revenue.rebinding"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    assert msgspec.json.decode(done.stdout) == {
        "asked": 2,
        "errors": [
            "no connection could be made",
            "the address is not on the public internet",
        ],
        # The test's own, which shows that it would have been seen.
        "connected": 1,
    }


async def test_an_address_that_was_taken_while_a_switch_was_on_is_refused_without_it(
    database_for: Callable[[str], Awaitable[Database]], here: Receiver
) -> None:
    """An address in the URL is never looked up; the socket for it is not made."""
    database = await database_for("revenue")
    async with running_hooks(database) as hooks:
        await hooks.registers(here.url)
        await hooks.earns()
    async with running_hooks(database, allow_private_webhooks=False) as hooks, hooks.sending():
        [failed] = await hooks.until("webhook_attempt_failed")
    assert failed["error"] == "the address is not on the public internet"
    assert here.sent == []


async def test_the_public_library_for_javascript_takes_what_is_sent(
    hooks: Hooks, here: Receiver, tmp_path: Path
) -> None:
    node, npm = program("node"), program("npm")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path),
         "standardwebhooks@1"], capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    if installed.returncode != 0:
        lacking("standardwebhooks", installed.stderr[-200:])
    await hooks.registers(here.url, events=(ACCRUED,))
    await hooks.earns()
    async with hooks.sending():
        await hooks.until("webhook_delivered")
    [sent] = here.sent
    said = {"secret": SECRET, "headers": sent.headers, "body": sent.body.decode()}
    checked = subprocess.run(
        [node, "-e", VERIFY_JS], input=msgspec.json.encode(said), capture_output=True,
        cwd=tmp_path, timeout=30, check=False,
    )  # fmt: skip
    assert checked.stderr == b""
    assert checked.stdout.decode() == sent.headers["webhook-id"]
