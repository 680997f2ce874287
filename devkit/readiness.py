"""Asks a service whether it is ready."""

import asyncio
import http.client
import json
from typing import Final

ASK_SECONDS_MAX: Final = 5.0
_ANSWER_BYTES_MAX: Final = 65_536
_OK: Final = 200


async def service_problem(port: int) -> str | None:
    """Return why the service on this port is not ready, in its own words, or nothing."""
    return await asyncio.to_thread(_ask, port)


def _ask(port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_SECONDS_MAX)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(_ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer on port {port} ({error})"
    finally:
        connection.close()
    return None if answer.status == _OK else _problems(answer.status, body)


def _problems(status: int, body: bytes) -> str:
    try:
        told = json.loads(body)["problems"]
        return ", ".join(f"{name}: {problem}" for name, problem in told.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"/readyz answers {status}"
