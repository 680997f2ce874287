"""Who may make a call. Every endpoint says so; one that does not cannot be routed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_ATTRIBUTE: Final = "tollgate_access"


@dataclass(frozen=True)
class Access:
    """Anyone, everybody who is signed in, or those with one of some roles.

    `honours_key`: a POST with a known Idempotency-Key gets the first answer. `reads`: the call
    changes nothing, whatever its method. `open_query`: others made up its query's parameters.
    """

    signed_in: bool
    roles: frozenset[str] | None = None
    honours_key: bool = True
    reads: bool = False
    open_query: bool = False


def anyone(endpoint: Endpoint) -> Endpoint:
    """Let anyone make the call; who signed in is known all the same."""
    return _with(endpoint, Access(signed_in=False))


def anyone_afresh(endpoint: Endpoint) -> Endpoint:
    """Let anyone make the call, and make it each time, whatever Idempotency-Key it has."""
    return _with(endpoint, Access(signed_in=False, honours_key=False))


def anyone_from_elsewhere(endpoint: Endpoint) -> Endpoint:
    """Let anyone make the call, sent here by another server, with parameters of its own."""
    return _with(endpoint, Access(signed_in=False, open_query=True))


def signed_in(endpoint: Endpoint) -> Endpoint:
    """Let everybody who is signed in make the call."""
    return _with(endpoint, Access(signed_in=True))


def asks_only(endpoint: Endpoint) -> Endpoint:
    """Let everybody who is signed in make a POST that changes nothing."""
    return _with(endpoint, Access(signed_in=True, reads=True))


def only(*roles: str) -> Callable[[Endpoint], Endpoint]:
    """Let those with one of these roles make the call."""

    def mark(endpoint: Endpoint) -> Endpoint:
        return _with(endpoint, Access(signed_in=True, roles=frozenset(roles)))

    return mark


def access_of(endpoint: Callable[..., Any]) -> Access:
    """Return who may make a call; `TypeError` where nobody thought of it."""
    access = getattr(endpoint, _ATTRIBUTE, None)
    if not isinstance(access, Access):
        raise TypeError(f"{endpoint.__qualname__} does not say who may call it")
    return access


def _with(endpoint: Endpoint, access: Access) -> Endpoint:
    setattr(endpoint, _ATTRIBUTE, access)
    return endpoint
