"""Free TCP ports on the loopback address.

They are taken from below the range that systems hand out for outgoing connections, so that a
server that comes back after a crash still finds its own port free.
"""

import secrets
import socket
from typing import Final

LOWEST: Final = 20_000
HIGHEST: Final = 32_000
_TRIES_MAX: Final = 200


class NoFreePortError(Exception):
    """None of the ports that were tried is free."""


def is_free(port: int) -> bool:
    """Return whether nobody listens on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None, *, but_not: frozenset[int] = frozenset()) -> int:
    """Return the preferred port if it is free, or else another; 200 are tried."""
    if preferred is not None and preferred not in but_not and is_free(preferred):
        return preferred
    for _ in range(_TRIES_MAX):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if port not in but_not and is_free(port):
            return port
    raise NoFreePortError(f"no free port found between {LOWEST} and {HIGHEST}")
