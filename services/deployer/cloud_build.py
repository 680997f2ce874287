"""Google Cloud, as far as builds need it: Pub/Sub by its official client, and Cloud Build's API.

Nobody else knows Google. The clients block, so that each call is made in a thread, within a bound.
Google's Pub/Sub emulator is used where `PUBSUB_EMULATOR_HOST` names one, as its clients do it.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import google.auth
from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import pubsub_v1  # type: ignore[import-untyped]  # Google's has no types

PUBLISH_SECONDS_MAX: Final = 10.0
PULL_SECONDS_MAX: Final = 5.0
PULL_MESSAGES_MAX: Final = 100
CALL_SECONDS_MAX: Final = 10.0
FOUND_MAX: Final = 10
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"

OUTAGES: Final = (GoogleAPICallError, RetryError, GoogleAuthError, OSError, TimeoutError)
"""What says that Google cannot be reached or will not answer now. `requests` raises `OSError`s."""


class CloudBuildError(Exception):
    """Cloud Build answered something that is no answer."""


@dataclass(frozen=True)
class Place:
    """Where builds run, and the topic they are asked for on.

    `subscription` is one to the project's topic `cloud-builds`, which tells of all its builds.
    """

    project: str
    region: str
    topic: str
    subscription: str
    api_url: str


@dataclass(frozen=True)
class Notification:
    """What Cloud Build says of one of its builds; `substitutions` are those of the trigger."""

    cloud_build_id: str
    status: str
    substitutions: Mapping[str, str]


class CloudBuild:
    """One project's Pub/Sub and Cloud Build."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._publisher = pubsub_v1.PublisherClient()
        self._subscriber = pubsub_v1.SubscriberClient()
        self._topic = self._publisher.topic_path(place.project, place.topic)
        self._subscription = self._subscriber.subscription_path(place.project, place.subscription)
        credentials = _credentials(place.api_url)
        self._session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]  # likewise

    async def ask_for(self, message: Mapping[str, str]) -> None:
        """Publish what a trigger answers with a build; return once Pub/Sub has it."""
        data = json.dumps(message, separators=(",", ":")).encode()
        await asyncio.to_thread(self._publish, data, message["buildId"])

    def _publish(self, data: bytes, build_id: str) -> None:
        published = self._publisher.publish(self._topic, data, buildId=build_id)
        published.result(PUBLISH_SECONDS_MAX)

    async def heard(self) -> list[tuple[str, Notification | None]]:
        """Return what has been notified, each with what acknowledges it; waits for some seconds.

        What cannot be read stands there as nothing, to be acknowledged too: it is no better the
        next time.
        """
        return await asyncio.to_thread(self._pull)

    def _pull(self) -> list[tuple[str, Notification | None]]:
        try:
            answer = self._subscriber.pull(
                subscription=self._subscription,
                max_messages=PULL_MESSAGES_MAX,
                timeout=PULL_SECONDS_MAX,
                retry=None,
            )
        except DeadlineExceeded:
            return []
        return [(told.ack_id, notification(told.message.data)) for told in answer.received_messages]

    async def acknowledge(self, ack_ids: list[str]) -> None:
        """Say that these need not come again."""
        await asyncio.to_thread(
            self._subscriber.acknowledge,
            subscription=self._subscription,
            ack_ids=ack_ids,
            timeout=CALL_SECONDS_MAX,
        )

    async def find(self, substitutions: Mapping[str, str]) -> list[Notification]:
        """Ask Cloud Build for the builds with these substitutions, the newest first."""
        wanted = " AND ".join(f'substitutions.{k}="{v}"' for k, v in substitutions.items())
        answer = await self._call("GET", "", {"filter": wanted, "pageSize": FOUND_MAX})
        builds = answer.get("builds", [])
        if not isinstance(builds, list):
            raise CloudBuildError("a list of builds is none")
        return [found for build in builds if (found := _notification(build)) is not None]

    async def cancel(self, cloud_build_id: str) -> None:
        """Cancel a build; one that has ended already is left as it is."""
        await self._call("POST", f"/{cloud_build_id}:cancel", {})

    async def _call(self, method: str, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        place = self._place
        url = f"{place.api_url}/v1/projects/{place.project}/locations/{place.region}/builds{path}"
        response = await asyncio.to_thread(
            self._session.request, method, url, params=query, timeout=CALL_SECONDS_MAX
        )
        if not response.ok:
            raise CloudBuildError(f"{method} builds{path}: {response.status_code}")
        answer = response.json()
        if not isinstance(answer, dict):
            raise CloudBuildError(f"{method} builds{path}: no object")
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._publisher.stop()
        self._subscriber.close()
        self._session.close()  # type: ignore[no-untyped-call]  # likewise


def notification(data: bytes) -> Notification | None:
    """Return what a message of the topic `cloud-builds` says: a Build as JSON. None: not readable.

    https://cloud.google.com/build/docs/subscribe-build-notifications
    """
    try:
        return _notification(json.loads(data))
    except (ValueError, RecursionError):
        return None


def _notification(build: Any) -> Notification | None:
    if not isinstance(build, dict):
        return None
    cloud_build_id, status = build.get("id"), build.get("status")
    substitutions = build.get("substitutions", {})
    if not isinstance(cloud_build_id, str) or not isinstance(status, str):
        return None
    if not isinstance(substitutions, dict):
        return None
    texts = {k: v for k, v in substitutions.items() if isinstance(v, str)}
    return Notification(cloud_build_id, status, texts)


def _credentials(api_url: str) -> Any:
    """Return Google's default credentials; none where an emulator stands in for Google."""
    if "PUBSUB_EMULATOR_HOST" in os.environ and urlsplit(api_url).scheme == "http":
        return AnonymousCredentials()  # type: ignore[no-untyped-call]  # likewise
    return google.auth.default(scopes=[_SCOPE])[0]
