"""Asking the catalogue for a sync: by hand, for a push, or because it is time."""

from datetime import datetime, timedelta
from typing import Final

from runtime.connection import Connection
from runtime.sealing import seal
from services.gateway.account_rows import Repository
from services.gateway.events import SyncAsked
from services.gateway.handlers import Ask
from services.gateway.queries.settings import current_settings
from services.gateway.secret_rows import read_secret
from services.gateway.vault import Vault

WORTH_DOING_FOR: Final = timedelta(hours=1)


async def platform_repository(connection: Connection) -> Repository:
    """Return the platform's repository, as the settings have it."""
    settings = (await current_settings(connection)).settings
    return Repository(
        url=settings.repository_url,
        branch=settings.repository_branch,
        token=await read_secret(connection, "platform_repository_token"),
        webhook_secret=await read_secret(connection, "platform_webhook_secret"),
    )


def sync_request(
    repository: Repository,
    *,
    sync_id: str,
    actor: str,
    now: datetime,
    vault: Vault,
    catalog_key: str,
) -> Ask:
    """Return the command that asks for a sync of a repository, which has an address.

    The sync has the id of the request for it, and one that was asked for under this id is not
    asked for again.
    """
    if repository.url is None:
        raise ValueError("a repository without an address cannot be read")
    token = repository.token
    asked = SyncAsked(
        expires_at=now + WORTH_DOING_FOR,
        sync_id=sync_id,
        scope="platform" if repository.partner_id is None else "partner",
        partner_id=repository.partner_id,
        repository_url=repository.url,
        branch=repository.branch,
        sealed_token=None if token is None else seal(vault.decrypt(token).encode(), catalog_key),
    )
    return Ask(actor=actor, correlation_id=sync_id, request_id=sync_id, fact=asked)
