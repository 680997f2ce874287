"""Syncs: running from the moment they are asked for until the catalogue says how they ended."""

import json
from collections.abc import Iterator

from contracts.catalog.v1 import RequestRefused, SyncFinished
from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.events import SyncAsked
from services.gateway.projections.statements import SqlProjection, Statement, told

_ASKED = """
    insert into syncs (sync_id, scope, partner_id, requested_by, status, requested_at)
    values ($1, $2, $3, $4, 'RUNNING', $5)
    on conflict (sync_id) do update
    set requested_by = excluded.requested_by, requested_at = excluded.requested_at"""
_FINISHED = """
    insert into syncs (sync_id, scope, partner_id, requested_by, status, requested_at, started_at,
                       finished_at, commit_id, error, modules, passed_over)
    values ($1, $2, $3, '', $4, $5, $5, $6, $7, $8, $9, $10)
    on conflict (sync_id) do update
    set status = excluded.status, started_at = excluded.started_at,
        finished_at = excluded.finished_at, commit_id = excluded.commit_id,
        error = excluded.error, modules = excluded.modules,
        passed_over = excluded.passed_over"""
_REFUSED = """
    update syncs set status = 'FAILED', error = $2, finished_at = $3
    where sync_id = $1 and status = 'RUNNING'"""


def _statements(change: Change) -> Iterator[Statement]:
    if isinstance(change, Recorded):
        if isinstance(change.fact, SyncAsked):
            asked = change.fact
            yield (
                _ASKED,
                (asked.sync_id, asked.scope, asked.partner_id, change.actor, change.at),
            )
        return
    event = told(change)
    if isinstance(event, RequestRefused):
        # A sync has the id of the request for it.
        yield _REFUSED, (event.request_id, event.detail, change.time)
    if isinstance(event, SyncFinished):
        yield (
            _FINISHED,
            (
                event.sync_id,
                event.scope,
                event.partner_id,
                event.status,
                event.started_at,
                event.finished_at,
                event.commit,
                event.error,
                json.dumps([report.model_dump(mode="json") for report in event.modules]),
                list(event.passed_over),
            ),
        )


SYNCS = SqlProjection("syncs", _statements, tables=("syncs",))
