"""One attempt to deliver something, over HTTP, and what came of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import aiohttp

from services.revenue.webhooks.addresses import (
    Lookup,
    NotPublicError,
    PublicResolver,
    public_socket,
)

ATTEMPT_SECONDS_MAX: Final = 15.0
DRAIN_SECONDS_MAX: Final = 1.0
DRAIN_BYTES_MAX: Final = 65_536
HEADER_BYTES_MAX: Final = 8_190
KEEP_ALIVE_SECONDS: Final = 15.0
RETRY_AFTER_SECONDS_MAX: Final = 10.0**7
_GOOD: Final = range(200, 300)
_CERTIFICATE: Final = {
    7: "is not signed by whom it names",
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself",
    19: "is signed by an authority that is not trusted",
    20: "is signed by an authority that is not trusted, or one between is not sent along",
    21: "is signed by an authority that is not trusted, or one between is not sent along",
    62: "is for another name",
    64: "is for another address",
}


class Answer(NamedTuple):
    """What an endpoint answered; without an `error` it has taken the delivery."""

    status: int | None
    error: str | None
    retry_after_seconds: float | None = None


@asynccontextmanager
async def open_session(
    lookup: Lookup, *, allow_loopback: bool, tls: ssl.SSLContext | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session that reaches only public addresses, keeps no cookies and unpacks nothing."""
    connector = aiohttp.TCPConnector(
        resolver=PublicResolver(lookup, allow_loopback=allow_loopback),
        use_dns_cache=False,
        socket_factory=public_socket(allow_loopback=allow_loopback),
        ssl=tls or True,
        limit=0,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS_MAX),
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        trust_env=False,
    ) as session:
        yield session


async def post(
    session: aiohttp.ClientSession,
    url: str,
    headers: dict[str, str],
    content: bytes,
    now: datetime,
) -> Answer:
    """Post something, and return what came of it; whatever the other side does, this is bounded.

    What an error says is in our own words: the other side's would be read by the owner alone, but
    also stand in our logs.
    """
    try:
        async with session.post(
            url, data=content, headers=headers, allow_redirects=False
        ) as response:
            status = response.status
            retry_after = _retry_after(response.headers.get("retry-after"), now)
            await _drain(response)
    except TimeoutError:
        return Answer(None, f"no answer within {ATTEMPT_SECONDS_MAX:g} seconds")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(None, _words(error))
    if status in _GOOD:
        return Answer(status, None)
    return Answer(status, f"answered {status}", retry_after)


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short answer, so that the connection can be used again; leave a long or slow one."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            left = DRAIN_BYTES_MAX
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)
    if not response.content.at_eof():
        response.close()


def _words(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _words_on_certificate(error.certificate_error)
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause:
        case NotPublicError():
            return "the address is not on the public internet"
        case ssl.SSLError() | aiohttp.ClientSSLError():
            return "no secure connection could be made (TLS)"
        case _:
            pass
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name was not found"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection could be made"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | OSError):
        return "the connection broke"
    return "the answer is not HTTP"


def _words_on_certificate(bad: Exception) -> str:
    """Return what is wrong with a certificate; the codes are OpenSSL's (X509_V_ERR_…)."""
    code = bad.verify_code if isinstance(bad, ssl.SSLCertVerificationError) else 0
    return "the certificate " + _CERTIFICATE.get(code, "is not good")


def _retry_after(text: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` asks for: a number, or a date (RFC 9110)."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), RETRY_AFTER_SECONDS_MAX)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), RETRY_AFTER_SECONDS_MAX)
