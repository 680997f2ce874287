"""Somebody who uses Tollgate over HTTP, as patiently as a good client does.

Every POST carries an Idempotency-Key, so it may be sent again when nobody answered; what takes
longer than the gateway waits for is asked after at the address it gives.
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx2

PATIENCE_SECONDS: Final = 60.0
ANSWER_SECONDS_MAX: Final = 15.0
PAUSE_SECONDS: Final = 0.1

COME_BACK_LATER: Final = frozenset({502, 503, 504})
ACCEPTED: Final = 202


class UnexpectedAnswerError(AssertionError):
    """The gateway answered something else than was expected."""

    def __init__(self, what: str, answer: "Answer", expected: object) -> None:
        super().__init__(f"{what}: {answer.status} instead of {expected}: {answer.body}")
        self.answer = answer


@dataclass(frozen=True)
class Answer:
    """A status and what came with it, decoded where it is JSON."""

    status: int
    body: Any
    headers: httpx2.Headers


class Person:
    """One account, with its session."""

    def __init__(self, url: str, email: str = "", password: str = "") -> None:
        self.email = email
        self.password = password
        self.id = ""
        self.client = httpx2.Client(
            base_url=url, timeout=ANSWER_SECONDS_MAX, headers={"Origin": url}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    # What a person does.

    def signs_up(self, **fields: str) -> "Person":
        """Register, and sign in."""
        self.posts("/api/users", {"email": self.email, "password": self.password, **fields})
        return self.signs_in()

    def signs_in(self) -> "Person":
        """Begin a session."""
        body = {"email": self.email, "password": self.password}
        self.asks("POST", "/api/session", body, status=204)
        self.id = self.gets("/api/me")["id"]
        return self

    def gets(self, path: str, **parameters: Any) -> Any:
        """Return what a read answers."""
        return self.asks("GET", path, parameters=parameters, status=200).body

    def lists(self, path: str, **parameters: Any) -> list[Any]:
        """Return all items of a list, over all its pages."""
        items: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.gets(path, **parameters, **cursor)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    def posts(self, path: str, body: Any, *, status: int = 201) -> Any:
        """Return what a POST answers when it is done."""
        return self.asks("POST", path, body, status=status).body

    def patches(self, path: str, body: Any) -> Any:
        """Return what a PATCH answers."""
        return self.asks("PATCH", path, body, status=200).body

    def is_refused(
        self, path: str, body: Any, *, status: int, code: str, method: str = "POST"
    ) -> Any:
        """Return the problem that a call is refused with."""
        answer = self.asks(method, path, body, status=status)
        if answer.body.get("code") != code:
            raise UnexpectedAnswerError(f"{method} {path}", answer, code)
        return answer.body

    # How it is done.

    def asks(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        parameters: dict[str, Any] | None = None,
        status: int,
    ) -> Answer:
        """Return the answer, whose status must be this one; ask again while nobody answers."""
        headers = {"Idempotency-Key": secrets.token_hex(16)} if method == "POST" else {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._once(method, path, body, parameters, headers)
            if answer is not None and answer.status == ACCEPTED:
                answer = self._outcome(answer, status, deadline)
            if answer is not None:
                if answer.status != status:
                    raise UnexpectedAnswerError(f"{method} {path}", answer, status)
                return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: no answer within {PATIENCE_SECONDS} s")
            time.sleep(PAUSE_SECONDS)

    def _once(
        self,
        method: str,
        path: str,
        body: Any,
        parameters: dict[str, Any] | None,
        headers: dict[str, str],
    ) -> Answer | None:
        """Return the answer, or nothing where it is worth asking again."""
        try:
            response = self.client.request(
                method, path, json=body, params=parameters, headers=headers
            )
        except httpx2.TransportError:
            return None
        answer = Answer(response.status_code, _decoded(response), response.headers)
        if answer.status in COME_BACK_LATER:
            return None
        if answer.status == 409 and answer.body.get("code") == "IDEMPOTENCY_IN_PROGRESS":
            return None
        return answer

    def _outcome(self, accepted: Answer, status: int, deadline: float) -> Answer:
        """Return what became of a request that took longer than the gateway waits."""
        location = accepted.headers.get("location", "")
        if not location.startswith("/api/requests/"):
            return accepted
        while time.monotonic() < deadline:
            answer = self._once("GET", location, None, None, {})
            if answer is not None and answer.status != 200:
                raise UnexpectedAnswerError(f"GET {location}", answer, 200)
            if answer is not None and answer.body["status"] == "DONE":
                return Answer(status, answer.body["result"], answer.headers)
            if answer is not None and answer.body["status"] == "REFUSED":
                problem = answer.body["problem"]
                return Answer(problem["status"], problem, answer.headers)
            time.sleep(PAUSE_SECONDS)
        raise TimeoutError(f"{location} is still pending")


def _decoded(response: httpx2.Response) -> Any:
    kind = response.headers.get("content-type", "")
    return response.json() if "json" in kind else response.text
