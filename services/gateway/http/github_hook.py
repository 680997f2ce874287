"""Pushes, as GitHub tells of them: each to a repository's own branch asks for one sync.

A delivery is believed for its signature alone: HMAC-SHA-256 of the raw body under the secret of the
repository that it tells of, the platform's or a partner's. Whether a repository is not known here,
has no secret or has another, the answer is the same. A delivery that is repeated asks for nothing
new; one after another push asks for a sync that begins when the one before has ended.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from runtime.connection import Connection
from services.gateway.account_rows import Repository, repositories_by_key
from services.gateway.gateway import Gateway
from services.gateway.http.access import anyone_afresh
from services.gateway.http.json_bytes import BadJsonError, read_json
from services.gateway.http.parameters import TheGateway
from services.gateway.http.problems import ProblemError
from services.gateway.http.route import resource
from services.gateway.http.shapes import Output
from services.gateway.http.syncs import ask_for_sync
from services.gateway.repositories import repository_key
from services.gateway.syncs import platform_repository

router = resource("Modules")

GITHUB: Final = "github"
"""Who asks for these syncs."""

_SIGNATURE: Final = re.compile(r"sha256=[0-9a-f]{64}")
_DELIVERY: Final = re.compile(r"[!-~]{1,100}")
_FORM: Final = "application/x-www-form-urlencoded"
_ADDRESS_LENGTH_MAX: Final = 500
_ACCEPTED: Final = 202


class Delivered(Output):
    """What came of a delivery: `syncs` are the ids of those that were asked for."""

    outcome: Literal["PONG", "IGNORED", "SYNCING"]
    reason: str | None
    syncs: list[str]


_DESCRIPTION: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in ("X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery")
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object"}},
            _FORM: {"schema": {"type": "object", "properties": {"payload": {"type": "string"}}}},
        },
    },
}


@router.post(
    "/api/hooks/github",
    responses={_ACCEPTED: {"model": Delivered, "description": "A sync was asked for."}},
    openapi_extra=_DESCRIPTION,
)
@anyone_afresh
async def github_hook(request: Request, response: Response, gateway: TheGateway) -> Delivered:
    """Take a delivery from GitHub; of a push to the branch that is read, ask for a sync."""
    body = await request.body()
    payload = _payload(body, request.headers.get("content-type", ""))
    told_of = payload.get("repository")
    told_of = told_of if isinstance(told_of, dict) else {}
    async with gateway.connection() as connection:
        known = await _known(connection, told_of)
    signature = request.headers.get("x-hub-signature-256", "")
    signed = [each for each in known if _is_signed(gateway, each, body, signature)]
    if not signed:
        # As long as it takes with a secret, it takes without.
        _matches(gateway.vault.derived("no webhook secret"), body, signature)
        raise ProblemError("BAD_SIGNATURE", "the delivery is not signed as it should be")
    delivery = request.headers.get("x-github-delivery", "")
    if _DELIVERY.fullmatch(delivery) is None:
        raise ProblemError("BAD_REQUEST", "X-GitHub-Delivery is missing")
    event = request.headers.get("x-github-event", "")
    if event == "ping":
        return Delivered(outcome="PONG", reason=None, syncs=[])
    pushed = [each for each in signed if _branch(each, told_of) == payload.get("ref")]
    reason = _why_not(event, payload, pushed)
    if reason is not None:
        return Delivered(outcome="IGNORED", reason=reason, syncs=[])
    syncs = []
    for repository in pushed:
        whose = repository.partner_id or ""
        sync_id = gateway.vault.keyed_hash("github delivery", delivery, whose).hex()[:32]
        await ask_for_sync(gateway, repository, sync_id=sync_id, actor=GITHUB)
        syncs.append(sync_id)
    response.status_code = _ACCEPTED
    return Delivered(outcome="SYNCING", reason=None, syncs=syncs)


def _payload(body: bytes, content_type: str) -> dict[str, Any]:
    """Return what a body says, as JSON or in a form; nothing where it cannot be read.

    What cannot be read names no repository, and so is signed with nobody's secret.
    """
    try:
        if content_type.partition(";")[0].strip().lower() == _FORM:
            fields = parse_qs(body.decode("ascii"), max_num_fields=10)
            body = fields.get("payload", [""])[0].encode()
        payload = read_json(body)
    except (BadJsonError, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


async def _known(connection: Connection, told_of: dict[str, Any]) -> list[Repository]:
    """Return the repositories that are read here, and that a delivery tells of."""
    addresses = [told_of.get(name) for name in ("clone_url", "html_url")]
    keys = {
        repository_key(each)
        for each in addresses
        if isinstance(each, str) and 0 < len(each) <= _ADDRESS_LENGTH_MAX
    } - {""}
    if not keys:
        return []
    found = await repositories_by_key(connection, sorted(keys))
    platform = await platform_repository(connection)
    if platform.url is not None and repository_key(platform.url) in keys:
        found.append(platform)
    return found


def _is_signed(gateway: Gateway, repository: Repository, body: bytes, signature: str) -> bool:
    if repository.webhook_secret is None:
        return False
    return _matches(gateway.vault.decrypt(repository.webhook_secret).encode(), body, signature)


def _matches(secret: bytes, body: bytes, signature: str) -> bool:
    """Return whether a signature is the body's under a secret; how much of it is takes no time."""
    expected = "sha256=" + hmac.digest(secret, body, hashlib.sha256).hex()
    if _SIGNATURE.fullmatch(signature) is None:
        return False
    return hmac.compare_digest(expected, signature)


def _branch(repository: Repository, told_of: dict[str, Any]) -> str:
    """Return the ref of the branch that is read: without one that is set, the repository's own."""
    return f"refs/heads/{repository.branch or told_of.get('default_branch') or ''}"


def _why_not(event: str, payload: dict[str, Any], pushed: Sequence[Repository]) -> str | None:
    if event != "push":
        return "only pushes are of interest"
    if not pushed:
        return "the push is to another branch than the one that is read"
    if payload.get("deleted") is True:
        return "the branch was deleted"
    return None
