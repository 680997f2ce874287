"""Who did what when, from the facts; what is secret, sealed or encrypted in them stays out."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.events import AdminAdded, AdminRemoved, SecretChanged, SettingsChanged
from services.gateway.projections.statements import SqlProjection, Statement, id_in

_DONE: Final = """
    insert into audited (id, at, actor, action, subject, details) values ($1, $2, $3, $4, $5, $6)
    on conflict (id) do nothing"""
_TOLD: Final = frozenset(
    {
        *("roles", "referred_by", "configured", "version", "module_version", "project"),
        *("scope", "partner_id", "stars", "featured", "kind", "credits", "reason", "period"),
        *("price_minor", "currency", "reference", "bonus", "event_type", "object_id"),
        *("credits_expire_at", "module_id", "deployment_id", "sync_id", "checkout_id", "user_id"),
    }
)
"""The fields of facts that may be read here; a new one is left out until it is named."""
_SUBJECTS: Final = ("deployment_id", "sync_id", "checkout_id", "module_id", "user_id", "period")


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Recorded) or isinstance(change.fact, AdminAdded | AdminRemoved):
        return
    details = details_of(change.fact)
    subject = next((details[name] for name in _SUBJECTS if name in details), None)
    if subject is None and change.stream.startswith("user-"):
        subject = id_in(change.stream)
    action = str(change.fact.__struct_config__.tag)
    told = json.dumps(details)
    yield _DONE, (change.id, change.at, change.actor, action, subject, told)


def details_of(fact: Any) -> dict[str, Any]:
    """Return what of a fact may be read, as JSON has it."""
    found: dict[str, Any] = msgspec.to_builtins(fact)
    details = {name: value for name, value in found.items() if name in _TOLD}
    if isinstance(fact, SettingsChanged):
        details["settings"] = found["settings"]
    if isinstance(fact, SecretChanged):
        # Its name. No other fact's `secret` is one.
        details["secret"] = fact.secret
    return details


AUDIT: Final = SqlProjection("audit", _statements, tables=("audited",))
