"""The people of the main job, on a system of their own, and what may go wrong meanwhile."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.e2e import repositories
from tests.e2e.person import Person
from tests.e2e.system import System, up
from tests.support.folders import reachable_folder

WAIT_SECONDS_MAX: Final = 90.0
POLL_SECONDS: Final = 0.1
ENDED: Final = frozenset({"SUCCESS", "FAILED", "CANCELLED", "TIMED_OUT", "DESTROYED"})


@dataclass
class Story:
    """Who takes part. `victim` is killed whenever `trouble_strikes`; without one nothing is."""

    system: System
    folder: Path
    admin: Person
    finance: Person
    user: Person
    partner: Person
    agent: Person
    newcomer: Person
    victim: str | None = None
    struck: list[str] = field(default_factory=list)

    def trouble_strikes(self, moment: str) -> None:
        """Kill the victim at once, as it was about to do something; it comes back by itself."""
        if self.victim is None:
            return
        self.system.wait_until_ready()
        self.system.kill(self.victim)
        self.struck.append(moment)

    @property
    def everybody(self) -> dict[str, Person]:
        """Return all people by what they are in the story."""
        return {
            "admin": self.admin,
            "finance": self.finance,
            "user": self.user,
            "partner": self.partner,
            "agent": self.agent,
            "newcomer": self.newcomer,
        }


@contextmanager
def story(
    *, victim: str | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Story]:
    """Run a fresh system, with its first administrator signed in."""
    with ExitStack() as stack:
        folder = stack.enter_context(reachable_folder())
        system = stack.enter_context(up(folder, environment=environment))

        def person(name: str) -> Person:
            address = f"{name}@example.org"
            return stack.enter_context(
                Person(system.url, address, f"{name}-{secrets.token_hex(8)}")
            )

        told = Story(
            system=system,
            folder=folder,
            admin=person("ada"),
            finance=person("fiona"),
            user=person("ursula"),
            partner=person("pia"),
            agent=person("arno"),
            newcomer=person("nora"),
            victim=victim,
        )
        made = system.run(
            *("user", "create", "--email", told.admin.email, "--role", "admin"),
            "--password-stdin",
            stdin=told.admin.password,
        )
        assert made.returncode == 0, made.stderr
        told.admin.signs_in()
        yield told


def wait_for(what: str, ask: Callable[[], Any], true: Callable[[Any], Any]) -> Any:
    """Return what `ask` gives once it is as it should be."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not true(value := ask()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not so within {WAIT_SECONDS_MAX} s: {value}")
        time.sleep(POLL_SECONDS)
    return value


def sync(person: Person, scope: str) -> Any:
    """Ask for a repository to be read, and return the report."""
    sync_id = person.posts("/api/syncs", {"scope": scope}, status=202)["id"]
    return wait_for(
        f"the {scope} sync's end",
        lambda: person.gets(f"/api/syncs/{sync_id}"),
        lambda report: report["status"] != "RUNNING",
    )


def publish_examples(told: Story) -> Any:
    """Make the platform's repository of the examples, have it read, and return the report."""
    url = repositories.platform_repository(told.folder / "platform")
    told.admin.patches("/api/settings", {"platform_repository": {"url": url, "branch": "main"}})
    told.trouble_strikes("as the platform's repository is read")
    return sync(told.admin, "platform")


def module(person: Person, name: str) -> Any:
    """Return the card of the module that a person sees under a name."""
    [card] = [card for card in person.lists("/api/modules") if card["name"] == name]
    return card


def deploy(person: Person, card: Any, variables: dict[str, Any], **more: str) -> Any:
    """Ask for a deployment, and return it as it was accepted."""
    return person.posts(
        "/api/deployments", {"module_id": card["id"], "variables": variables, **more}
    )


def until_ended(person: Person, deployment_id: str) -> Any:
    """Return a deployment once its build has ended."""
    return wait_for(
        f"the end of deployment {deployment_id}",
        lambda: person.gets(f"/api/deployments/{deployment_id}"),
        lambda deployment: deployment["status"] in ENDED,
    )


def succeeds(person: Person, deployment_id: str) -> Any:
    """Return a deployment once it has succeeded; where it ends otherwise, say why."""
    ended = until_ended(person, deployment_id)
    assert ended["status"] == "SUCCESS", ended["builds"][-1]["error"]
    return ended


def balance(person: Person) -> tuple[int, int, int]:
    """Return (awarded, purchased, held) credits."""
    found = person.gets("/api/credits/balance")
    return found["awarded"], found["purchased"], found["held"]


def usd(amount_minor: int) -> dict[str, Any]:
    """Return an amount as the API writes it."""
    return {"amount_minor": amount_minor, "currency": "USD"}
