"""How messages are addressed on NATS, and which JetStream stream keeps them.

A subject is `tollgate.<service>.<kind>.<fact>.v<N>`. What a service tells is kept in a stream of
its own; what is asked of others expires, so requests have another; build logs have a third.
"""

from typing import Final

REQUEST_KIND: Final = "request"
REQUEST_STREAM: Final = "TOLLGATE_REQUESTS"
LOG_STREAM: Final = "TOLLGATE_LOGS"


def facts_stream(service: str) -> str:
    """Return the JetStream stream that holds what a service publishes as facts."""
    return f"TOLLGATE_{service.upper()}"


def stream_of_subject(subject: str) -> str:
    """Return the JetStream stream that a message's subject belongs to."""
    _, service, kind, *_ = subject.split(".")
    if service == "logs":
        return LOG_STREAM
    return REQUEST_STREAM if kind == REQUEST_KIND else facts_stream(service)
