"""The ledger as it is: each of its messages, and what verifications of it found."""

import json
from collections.abc import Iterator
from typing import Final

from contracts.envelope import Envelope
from contracts.ledger.v1 import CheckoutEvent, LedgerVerified, PeriodAttested, WalletEvent
from runtime.projector import Change
from services.gateway.projections.statements import SqlProjection, Statement

_EVENT: Final = """
    insert into ledger_events (id, stream, sequence, type, user_id, at, correlation_id,
                               causation_id, fact_version, fact_hash, data)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    on conflict (stream, sequence) do nothing"""
_VERIFICATION: Final = """
    insert into ledger_verifications (request_id, events, head, segments, sealed, ok, first_bad,
                                      verified_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (request_id) do nothing"""


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Envelope):
        return
    event = change.data
    if isinstance(event, WalletEvent | CheckoutEvent | PeriodAttested):
        user_id = None if isinstance(event, PeriodAttested) else event.user_id
        place = (change.id, change.subject, change.sequence, change.type, user_id, change.time)
        causes = (change.correlationid, change.causationid)
        fact = (change.factversion, change.facthash)
        yield _EVENT, (*place, *causes, *fact, event.model_dump_json())
    if isinstance(event, LedgerVerified):
        first_bad = None if event.first_bad is None else event.first_bad.model_dump()
        yield (
            _VERIFICATION,
            (
                *(event.request_id, event.events, event.head, event.segments, event.sealed),
                *(event.ok, json.dumps(first_bad), event.verified_at),
            ),
        )


LEDGER = SqlProjection("ledger", _statements, tables=("ledger_events", "ledger_verifications"))
