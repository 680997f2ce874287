"""What a repository's address may be here. The catalogue, which reads it, has the last word."""

import re
from typing import Final
from urllib.parse import urlsplit

from runtime.refusal import Refusal

_PLAIN: Final = re.compile(r"[!-~]{1,500}")
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")
TOKEN_LENGTH_MAX: Final = 4_000


class RepositoryRefusal(Refusal):
    """An address or branch is not one; `pointer` names the field, the detail repeats no secret."""


def check_repository(
    url: str | None, branch: str | None, *, allow_local: bool, pointer: str
) -> None:
    """Refuse an address that is not https, or holds credentials, and a branch that is no name."""
    if url is not None:
        _check_url(url, allow_local=allow_local, pointer=f"{pointer}/url")
    if branch is not None and (_BRANCH.fullmatch(branch) is None or ".." in branch):
        raise RepositoryRefusal(
            "INVALID_REPOSITORY", "is no name of a branch", pointer=f"{pointer}/branch"
        )


def repository_key(url: str) -> str:
    """Return by what two addresses of one repository are the same: host and path, not the scheme.

    Case and a last `.git` make no difference, nor does how one signs in. Of `git@host:path`, as
    SSH writes it, nothing is known here: whoever tells of a repository tells its other addresses.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    except ValueError:
        return ""
    path = parts.path.strip("/").lower().removesuffix(".git")
    return f"{host}{port}/{path}"


def _check_url(url: str, *, allow_local: bool, pointer: str) -> None:
    if _PLAIN.fullmatch(url) is None:
        detail = "must have 1 to 500 printable characters, without spaces"
        raise RepositoryRefusal("INVALID_REPOSITORY", detail, pointer=pointer)
    if allow_local and url.startswith(("/", "file:///")):
        return
    try:
        parts = urlsplit(url)
        credentials = parts.username is not None or parts.password is not None
        host = parts.hostname
    except ValueError:
        raise RepositoryRefusal("INVALID_REPOSITORY", "is no address", pointer=pointer) from None
    if parts.scheme not in (("https", "http") if allow_local else ("https",)) or not host:
        raise RepositoryRefusal("INVALID_REPOSITORY", "must be https://host/path", pointer=pointer)
    if credentials:
        detail = "holds credentials: the token has a field of its own"
        raise RepositoryRefusal("INVALID_REPOSITORY", detail, pointer=pointer)
