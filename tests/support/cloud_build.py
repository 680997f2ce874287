"""A stand-in for Google Cloud Build, on Google's Pub/Sub emulator.

It does what `deploy/gcp` asks of the real one: a message on the topic makes a build, with the
substitutions that the trigger names; the steps of `cloudbuild.yaml` are run, their image left
aside; and each change is notified as Cloud Build does it, twice and out of order.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import hcl2
import yaml
from aiohttp import web
from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1  # type: ignore[import-untyped]  # Google's has no types

from runtime.ids import new_id

ROOT: Final = Path(__file__).resolve().parents[2]
GCP: Final = ROOT / "deploy" / "gcp"
TOPIC: Final = "tollgate-builds"
SUBSCRIPTION: Final = "tollgate-cloud-builds"
GOING_ON: Final = frozenset({"QUEUED", "WORKING"})
_TRIGGER: Final = "trigger"
_PULL_SECONDS: Final = 1.0


@dataclass
class Build:
    """One build: what Cloud Build says of it, and its running step."""

    id: str
    project: str
    substitutions: dict[str, str]
    status: str = "QUEUED"
    process: asyncio.subprocess.Process | None = None

    def told(self) -> dict[str, Any]:
        """Return the Build as the API and notifications have it."""
        return {
            "id": self.id,
            "name": f"projects/{self.project}/locations/global/builds/{self.id}",
            "projectId": self.project,
            "status": self.status,
            "substitutions": self.substitutions,
        }


@dataclass
class CloudBuild:
    """The stand-in. `secret` is what Secret Manager holds; `folder` has each build's workspace.

    Tests set the switches: `notifies` off loses every notification, `starts` off lets builds stand
    in the queue, `twice` answers each message with two builds.
    """

    folder: Path
    secret: str
    project: str = field(default_factory=lambda: f"test-{new_id()}")
    notifies: bool = True
    starts: bool = True
    twice: bool = False
    builds: list[Build] = field(default_factory=list)
    messages: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._publisher = pubsub_v1.PublisherClient()
        self._subscriber = pubsub_v1.SubscriberClient()
        self._topic = self._publisher.topic_path(self.project, TOPIC)
        self._told = self._publisher.topic_path(self.project, "cloud-builds")
        self._trigger = self._subscriber.subscription_path(self.project, _TRIGGER)
        told = self._subscriber.subscription_path(self.project, SUBSCRIPTION)
        for topic in (self._topic, self._told):
            self._publisher.create_topic(name=topic)
        self._subscriber.create_subscription(name=self._trigger, topic=self._topic)
        self._subscriber.create_subscription(name=told, topic=self._told)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CloudBuild"]:
        """Listen to the topic and answer the API until the block ends."""
        app = web.Application()
        base = f"/v1/projects/{self.project}/locations/global/builds"
        app.add_routes([web.get(base, self._list), web.post(f"{base}/{{id}}:cancel", self._cancel)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        listening = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            listening.cancel()
            for build in self.builds:
                _end(build, signal.SIGKILL)
            await asyncio.gather(listening, *self._tasks, return_exceptions=True)
            await runner.cleanup()
            self._publisher.stop()
            self._subscriber.close()

    # The trigger.

    async def _listen(self) -> None:
        while True:
            try:
                answer = await asyncio.to_thread(
                    self._subscriber.pull,
                    subscription=self._trigger,
                    max_messages=10,
                    timeout=_PULL_SECONDS,
                    retry=None,
                )
            except DeadlineExceeded:
                continue
            for received in answer.received_messages:
                message = json.loads(received.message.data)
                self.messages.append(message)
                for _ in range(2 if self.twice else 1):
                    build = Build(new_id(), self.project, substitutions(message))
                    self.builds.append(build)
                    self._tasks.append(asyncio.create_task(self._run(build)))
            ack_ids = [received.ack_id for received in answer.received_messages]
            if ack_ids:
                await asyncio.to_thread(
                    self._subscriber.acknowledge, subscription=self._trigger, ack_ids=ack_ids
                )

    async def _run(self, build: Build) -> None:
        """Take a build through its statuses; late and repeated notifications are among them."""
        await self._notify(build, "QUEUED")
        if not self.starts:
            return  # it stands in the queue until `fail` ends it
        await self._notify(build, "WORKING", "QUEUED")
        status = "SUCCESS"
        for step in steps():
            if await self._step(build, step) != 0:
                status = "FAILURE"
                break
        if build.status != "CANCELLED":
            await self._notify(build, status, "WORKING", status)

    async def _step(self, build: Build, step: Mapping[str, Any]) -> int:
        workspace = self.folder / build.id
        workspace.mkdir(mode=0o711)
        environment = {
            name: fill(value, build.substitutions)
            for name, _, value in (entry.partition("=") for entry in step["env"])
        }
        environment |= dict.fromkeys(step["secretEnv"], self.secret)
        assert step["entrypoint"] == "python"
        build.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *step["args"],
            cwd=workspace,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
            start_new_session=True,
        )
        return await build.process.wait()

    async def fail(self, build: Build, status: str) -> None:
        """Let a build end by itself, without its runner."""
        await self._notify(build, status)

    async def _notify(self, build: Build, *statuses: str) -> None:
        if build.status in GOING_ON:
            build.status = statuses[0]
        if not self.notifies:
            return
        for status in (*statuses, statuses[0]):
            data = json.dumps(build.told() | {"status": status}).encode()
            published = self._publisher.publish(self._told, data, buildId=build.id, status=status)
            await asyncio.to_thread(published.result, 10)

    # The API.

    async def _list(self, request: web.Request) -> web.Response:
        wanted = dict(re.findall(r'substitutions\.(\w+)="([^"]*)"', request.query["filter"]))
        found = [b.told() for b in self.builds if wanted.items() <= b.substitutions.items()]
        return web.json_response({"builds": found} if found else {})

    async def _cancel(self, request: web.Request) -> web.Response:
        [build] = [b for b in self.builds if b.id == request.match_info["id"]]
        await self._notify(build, "CANCELLED")
        _end(build, signal.SIGTERM)
        return web.json_response(build.told())


def _end(build: Build, number: signal.Signals) -> None:
    if build.process is not None and build.process.returncode is None:
        os.killpg(build.process.pid, number)


def steps() -> list[dict[str, Any]]:
    """Return the steps that `cloudbuild.yaml` names."""
    found: list[dict[str, Any]] = yaml.safe_load((GCP / "cloudbuild.yaml").read_text())["steps"]
    return found


def substitutions(message: Mapping[str, str]) -> dict[str, str]:
    """Return what the trigger of `main.tf` makes of a message."""
    [trigger] = [
        body
        for resource in hcl2.loads((GCP / "main.tf").read_text())["resource"]
        for kind, named in resource.items()
        if kind.strip('"') == "google_cloudbuild_trigger"
        for body in named.values()
    ]
    found = {}
    for name, value in trigger["substitutions"].items():
        part = re.search(r"\$\(body\.message\.data\.(\w+)\)", value)
        found[name.strip('"')] = message[part[1]] if part else value
    return found


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with `${_NAME}` replaced, as Cloud Build does it."""
    return re.sub(r"\$\{(_[A-Z_]+)\}", lambda found: values[found[1]], text)
