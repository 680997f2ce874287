"""Addresses of repositories, and names of branches: what we hand to Git, and what never.

Git takes far more than addresses: options, commands (`ext::`), other protocols. So what is let
through is listed here, not what is kept out.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from runtime.refusal import Refusal

ADDRESS_LENGTH_MAX: Final = 500
BRANCH_LENGTH_MAX: Final = 200
_PLAIN: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_IN_NO_BRANCH: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """A repository on another machine; `url` is what Git is given."""

    url: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """A repository on this machine, by path; for development."""

    path: str


class AddressRefusal(Refusal):
    """An address or branch that is not read; `detail` says why and repeats no credentials."""


def read_address(text: str, *, allow_local: bool) -> RemoteAddress | LocalAddress:
    """Return where the repository is, else `AddressRefusal`.

    Only `https://host/path` is read; with `allow_local` also `http://`, `file:///path` and a path.
    """
    if not text or len(text) > ADDRESS_LENGTH_MAX or _PLAIN.fullmatch(text) is None:
        raise _refusal("a repository's address is 1 to 500 printable characters without spaces")
    if text.startswith(("/", "file://")):
        return _local(text, allow_local=allow_local)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _refusal("the repository's address is no address") from error
    schemes = ("https", "http") if allow_local else ("https",)
    if parts.scheme not in schemes or not text.startswith(f"{parts.scheme}://"):
        raise _refusal("a repository is read by https:// only")
    if parts.username is not None or parts.password is not None:
        raise _refusal("the address holds credentials: a token has a field of its own")
    host = parts.hostname or ""
    if not _is_host(host):
        raise _refusal("the address has no valid host")
    if parts.query or parts.fragment or parts.path.strip("/") == "":
        raise _refusal("the address must be https://host/path, without ? or #")
    return RemoteAddress(text, host, port or _DEFAULT_PORTS[parts.scheme])


def _local(text: str, *, allow_local: bool) -> LocalAddress:
    if not allow_local:
        raise _refusal("repositories on this machine are for development only")
    path = unquote(urlsplit(text).path) if text.startswith("file://") else text
    if (
        (text.startswith("file://") and urlsplit(text).netloc)
        or not PurePosixPath(path).is_absolute()
        or "\0" in path
    ):
        raise _refusal("a local repository is an absolute path, or file:// and one")
    return LocalAddress(path)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None and ".." not in host
    return True


def read_branch(text: str | None) -> str | None:
    """Return the branch's name, or None for the repository's own choice; else `AddressRefusal`."""
    if text is None or text == "":
        return None
    if (
        len(text) > BRANCH_LENGTH_MAX
        or _IN_NO_BRANCH.search(text) is not None
        or text[0] in "-/"
        or text[-1] in "/."
        or any(part.startswith(".") or part.endswith(".lock") for part in text.split("/"))
    ):
        raise _refusal(f"{text[:BRANCH_LENGTH_MAX]!r} is no name of a branch")
    return text


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet's, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def _refusal(detail: str) -> AddressRefusal:
    return AddressRefusal("REPOSITORY_ADDRESS", detail)
