"""Where webhooks may go, and of what: one rule for whoever takes an address and whoever sends.

An address is refused when it is given, for what can be seen in its text. What its name resolves to
is only known when something is sent, and is checked then, each time: see `is_public`.
"""

import re
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field

WebhookEvent = Literal[
    "revenue.share_accrued", "revenue.share_reversed", "revenue.statement_closed"
]
"""What an endpoint may be told of."""
WEBHOOK_EVENTS: Final[tuple[WebhookEvent, ...]] = get_args(WebhookEvent)
WebhookEvents = Annotated[
    tuple[WebhookEvent, ...], Field(min_length=1, max_length=len(WEBHOOK_EVENTS))
]
TEST_EVENT: Final = "webhook.test"
"""What every endpoint is told when its owner asks for it."""

ENDPOINTS_MAX: Final = 10
"""How many endpoints an owner may have."""
KEPT_FOR: Final = timedelta(days=90)
"""How long a delivery is kept after it was queued: shown in the log, and sent again if asked."""
URL_LENGTH_MAX: Final = 500
HTTPS_PORT: Final = 443

_NOT_PUBLIC: Final = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",  # shared by a carrier's customers (RFC 6598)
        "168.63.129.16/32",  # Azure's own services, from within any of its machines
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # the relays of 6to4
        "::/96",  # IPv4-compatible
        "64:ff9b::/96",  # NAT64: any IPv4 address, private ones too (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 within a site (RFC 8215)
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4: any IPv4 address
        "fec0::/10",  # site-local
    )
)
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class WebhookUrlError(ValueError):
    """An address that no webhook goes to; its text says why, and does not repeat the address."""


def check_url(url: str, *, allow_loopback: bool) -> None:
    """Raise `WebhookUrlError` where no webhook may go to an address.

    It is `https` on port 443, without a user, a password or a fragment, and its host is a name or
    a public address. With `allow_loopback` it may be `http` on any port of this machine as well.
    """
    if len(url) > URL_LENGTH_MAX:
        raise WebhookUrlError(f"is longer than {URL_LENGTH_MAX} characters")
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise WebhookUrlError("holds a character that must be percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise WebhookUrlError("is not an address") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise WebhookUrlError("must be https://host/…")
    if "@" in parts.netloc:
        raise WebhookUrlError("must not hold a user or a password")
    if "#" in url:
        raise WebhookUrlError("must not have a fragment")
    address = literal(host)
    if allow_loopback and is_loopback(host):
        return
    if parts.scheme != "https":
        raise WebhookUrlError("must be https")
    if port not in (None, HTTPS_PORT):
        raise WebhookUrlError("must be on port 443")
    if address is not None and not is_public(address):
        raise WebhookUrlError("is not on the public internet")
    if address is None and not _is_name(host):
        raise WebhookUrlError("has no name of a host, and no public address")


def is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """Return whether an address is one host's on the public internet, and nothing in disguise."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    return not any(ip in network for network in _NOT_PUBLIC if network.version == ip.version)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or its address."""
    address = literal(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is written as, or nothing for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_name(host: str) -> bool:
    """Whether it is a name: what ends in a number is an address in an old spelling (`0x7f.1`)."""
    last = host.rstrip(".").rpartition(".")[2]
    return _NAME.fullmatch(host) is not None and _NUMBER.fullmatch(last) is None
