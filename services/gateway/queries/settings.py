"""The settings as they are now."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from runtime.connection import Connection
from services.gateway.events import Settings


@dataclass(frozen=True)
class CurrentSettings:
    """The settings in their present version, and which secrets are set."""

    version: int
    settings: Settings
    changed_at: datetime | None
    secrets: frozenset[str]


async def current_settings(connection: Connection) -> CurrentSettings:
    """Return the settings; the defaults before they were first established."""
    row = await connection.fetchrow(
        """select version, body, changed_at,
                  array(select name from settings_secrets where configured) as secrets
           from settings order by version desc limit 1"""
    )
    if row is None:
        return CurrentSettings(0, Settings(), None, frozenset())
    settings = msgspec.json.decode(row["body"], type=Settings)
    return CurrentSettings(row["version"], settings, row["changed_at"], frozenset(row["secrets"]))
