"""Requests: what is put twice, because its answer was lost, counts once."""

from services.gateway.events import Request, RequestFact


def decide_request(asked: RequestFact, state: Request) -> list[RequestFact]:
    """Return the request, unless it was put before."""
    return [] if state.asked else [asked]


def evolve_request(_: Request, __: RequestFact) -> Request:
    """Return the request once it was put."""
    return Request(asked=True)
