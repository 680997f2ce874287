"""The base of every message, and what a message says of itself."""

from typing import Annotated, ClassVar, Final

from pydantic import Field

from contracts.types import Id, ShortText, Value, WholeNumber

PROBLEMS_MAX: Final = 200
DETAILS_MAX: Final = 20


class Event(Value):
    """One message of one version.

    A subclass names its producer, the kind of stream it belongs to, what happened, and its
    version. A released class never changes: what must change becomes a class of the next version.

    `sent` is the switch of a next version: it starts as False, which lets every reader learn the
    version in one release; a later release turns it on, together with the code that sends it.
    """

    service: ClassVar[str]
    kind: ClassVar[str]
    fact: ClassVar[str]
    contract_version: ClassVar[int] = 1
    sent: ClassVar[bool] = True

    @classmethod
    def type_name(cls) -> str:
        """Return the CloudEvents type, such as `tollgate.ledger.hold_placed.v1`."""
        return f"tollgate.{cls.service}.{cls.fact}.v{cls.contract_version}"

    @classmethod
    def bus_subject(cls) -> str:
        """Return the NATS subject, which names the kind of stream as well: that is followed."""
        return f"tollgate.{cls.service}.{cls.kind}.{cls.fact}.v{cls.contract_version}"

    @classmethod
    def schema_id(cls) -> str:
        """Return the `$id` of the message's JSON Schema."""
        return f"urn:tollgate:schema:{cls.service}:{cls.fact}:v{cls.contract_version}"


class UnsendableError(TypeError):
    """A message must not be sent: not yet in this version, or not in that stream."""


def check_sendable(event: Event, stream: str) -> None:
    """Return where readers will take the message in that stream; else `UnsendableError`."""
    if not event.sent:
        raise UnsendableError(f"{event.type_name()} is not sent yet: readers have yet to learn it")
    if stream.partition("-")[0] != event.kind:
        raise UnsendableError(f"{event.type_name()} is not for {stream}, but for a {event.kind}")


class Problem(Value):
    """One thing that is wrong with an input, where a JSON pointer says where."""

    pointer: ShortText
    message: ShortText
    code: Id


class RequestRefused(Event):
    """The base of each service's answer to a request that it does not carry out.

    It is published in a stream of its own, `refusal-<request id>`. `code` is stable and one of
    the API's; `detail` is for people.
    """

    kind: ClassVar[str] = "refusal"
    fact: ClassVar[str] = "request_refused"

    request_id: Id
    code: Id
    detail: ShortText
    errors: Annotated[tuple[Problem, ...], Field(max_length=PROBLEMS_MAX)] = ()
    details: Annotated[
        dict[Id, ShortText | WholeNumber | None],
        Field(default_factory=dict, max_length=DETAILS_MAX),
    ]
