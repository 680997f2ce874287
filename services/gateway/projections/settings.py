"""The settings in all their versions, and which secrets are set."""

from collections.abc import Iterator

import msgspec

from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.events import SecretChanged, SettingsChanged
from services.gateway.projections.statements import SqlProjection, Statement

_CHANGED = """
    insert into settings (version, body, changed_by, changed_at) values ($1, $2, $3, $4)
    on conflict (version) do nothing"""
_MARKED = """
    insert into settings_secrets (name, configured) values ($1, $2)
    on conflict (name) do update set configured = excluded.configured"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Recorded):
        return
    match change.fact:
        case SettingsChanged(version=version, settings=settings):
            body = msgspec.json.encode(settings).decode()
            yield _CHANGED, (version, body, change.actor, change.at)
        case SecretChanged(secret=secret, configured=configured):
            yield _MARKED, (secret, configured)
        case _:
            return


SETTINGS = SqlProjection("settings", _statements, tables=("settings", "settings_secrets"))
