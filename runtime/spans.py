"""The trace that the work in hand belongs to, and where its spans begin and end.

A trace is named by its `traceparent` (W3C Trace Context). It comes with a caller's request, is
written into every message that the request causes, and so stands in the outbox, travels over the
bus and is taken up again by whoever handles the message. Without a collector nothing is recorded,
and the traceparent is handed on as it came: `PassOn`. With one see `runtime.tracing`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

from typing_extensions import override

if TYPE_CHECKING:
    from runtime.store import OutboxRow
    from runtime.work import Message

_CURRENT: Final[ContextVar[str | None]] = ContextVar("traceparent", default=None)
_LINKED: Final[ContextVar[tuple[str, ...]]] = ContextVar("linked", default=())
_WELL_FORMED: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def current_traceparent() -> str | None:
    """Return the trace, and the span in it, that what runs now belongs to."""
    return _CURRENT.get()


def well_formed(text: str | None) -> str | None:
    """Return a caller's traceparent, or nothing where it cannot be read."""
    return text if text is not None and _WELL_FORMED.fullmatch(text) else None


@contextmanager
def within(traceparent: str | None) -> Iterator[None]:
    """Let what runs in the block belong to a trace: its commands and its lines of the log."""
    token = _CURRENT.set(traceparent)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_links() -> tuple[str, ...]:
    """Return the traces that what runs now follows from, beside the one that it belongs to."""
    return _LINKED.get()


@contextmanager
def linked(traceparents: Iterable[str | None]) -> Iterator[None]:
    """Let commands of the block link these traces: they join them, or come long after them."""
    token = _LINKED.set(tuple(dict.fromkeys(each for each in traceparents if each is not None)))
    try:
        yield
    finally:
        _LINKED.reset(token)


class Answering(Protocol):
    """The span of one HTTP call."""

    @property
    def traceparent(self) -> str | None:
        """What the call's work belongs to."""
        ...

    def answered(self, *, route: str, status: int | None) -> None:
        """Tell which route it was, as a template, and how it was answered."""
        ...


class Spans(Protocol):
    """Spans around what a service does."""

    def handling(self, message: "Message") -> AbstractContextManager[str | None]:
        """Enter a span whose parent is the message's; give the traceparent to hand on."""
        ...

    def batch(self, messages: Iterable["Message"]) -> AbstractContextManager[object]:
        """Enter a span around the transaction of many messages."""
        ...

    def publishing(self, rows: Sequence["OutboxRow"]) -> AbstractContextManager[object]:
        """Enter a span around the publishing of a batch."""
        ...

    def answering(
        self, method: str, traceparent: str | None, request_id: str
    ) -> AbstractContextManager[Answering]:
        """Enter a span around an HTTP call; `traceparent` is the caller's."""
        ...

    def close(self) -> None:
        """Send what was recorded and not sent yet, within a bound; nothing is recorded after."""
        ...


class PassOn(Spans):
    """Spans where there are none: the traceparent is handed on as it came."""

    @override
    def handling(self, message: "Message") -> AbstractContextManager[str | None]:
        """Give the message's own traceparent."""
        return _NOTHING if message.traceparent is None else _Within(message.traceparent)

    @override
    def batch(self, messages: Iterable["Message"]) -> AbstractContextManager[object]:
        """Do nothing."""
        return _NOTHING

    @override
    def publishing(self, rows: Sequence["OutboxRow"]) -> AbstractContextManager[object]:
        """Do nothing."""
        return _NOTHING

    @override
    def answering(
        self, method: str, traceparent: str | None, request_id: str
    ) -> AbstractContextManager[Answering]:
        """Give the caller's traceparent."""
        return nullcontext(_Unrecorded(traceparent))

    @override
    def close(self) -> None:
        """Do nothing."""


class _Within:
    """`within`, without a generator: it is entered for every message."""

    __slots__ = ("_token", "_traceparent")

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    def __enter__(self) -> str:
        self._token = _CURRENT.set(self._traceparent)
        return self._traceparent

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)


class _Unrecorded:
    """A call that no span is recorded of."""

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent: Final = traceparent

    def answered(self, **_: Any) -> None:
        """Do nothing."""


_NOTHING: Final = nullcontext[Any](None)
