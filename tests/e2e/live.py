"""A client of server-sent events: it keeps what came, and goes on where it was cut off."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx2

from tests.e2e.person import Person

PATIENCE_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.05
SILENCE_SECONDS_MAX: Final = 30.0
"""Longer than two of the server's heartbeats: then the connection is as good as lost."""


@dataclass(frozen=True)
class Happening:
    """One event: what kind, its id, and its text."""

    kind: str
    id: str
    data: str


class Live:
    """Listens in a thread of its own until the block ends."""

    def __init__(self, person: Person, path: str) -> None:
        self.happenings: list[Happening] = []
        self.error: Exception | None = None
        self._path = path
        self._last_id = ""
        self._socket: socket.socket | None = None
        self._client = httpx2.Client(
            base_url=person.client.base_url,
            cookies=person.client.cookies,
            timeout=httpx2.Timeout(10, read=SILENCE_SECONDS_MAX),
        )
        self._listening = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name=f"live {path}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._listening.wait(PATIENCE_SECONDS):
            raise TimeoutError(f"{self._path} cannot be listened to: {self.error!r}")
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._hang_up()
        self._thread.join(SILENCE_SECONDS_MAX)
        self._client.close()

    def text(self) -> str:
        """Return the data of all that came, a line each."""
        return "\n".join(happening.data for happening in self.happenings)

    def wait_for(self, what: str, true: Callable[[list[Happening]], Any]) -> None:
        """Return once this is true of what came."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true(list(self.happenings)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} was not seen on {self._path}: {self.happenings[-5:]}")
            time.sleep(PAUSE_SECONDS)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._stream()
            except httpx2.TransportError as error:
                self.error = error
            time.sleep(PAUSE_SECONDS)

    def _stream(self) -> None:
        """Take what comes until the connection ends."""
        headers = {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        with self._client.stream("GET", self._path, headers=headers) as response:
            if response.status_code != httpx2.codes.OK:
                return
            self._socket = response.extensions["network_stream"].get_extra_info("socket")
            self._listening.set()
            fields: dict[str, list[str]] = {}
            for line in response.iter_lines():
                if line:
                    name, _, value = line.partition(":")
                    fields.setdefault(name, []).append(value.removeprefix(" "))
                else:
                    self._take(fields)
                    fields = {}

    def _take(self, fields: dict[str, list[str]]) -> None:
        if "data" not in fields:
            return
        self._last_id = "".join(fields.get("id", [self._last_id]))
        kind = "".join(fields.get("event", ["message"]))
        self.happenings.append(Happening(kind, self._last_id, "\n".join(fields["data"])))

    def _hang_up(self) -> None:
        """End the connection from outside of the thread that waits on it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
