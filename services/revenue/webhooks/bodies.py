"""What a webhook says: the body, which is a CloudEvent, and the signature of Standard Webhooks."""

import base64
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from services.revenue.events import PayeeFact, ShareAccrued, ShareReversed
from services.revenue.month_facts import StatementClosed

PREFIX: Final = "whsec_"
SOURCE: Final = "/tollgate/revenue"


def body(
    *,
    delivery_id: str,
    event_type: str,
    at: datetime,
    sequence: int | None,
    previous_sequence: int | None,
    data: dict[str, Any],
) -> str:
    """Return the JSON text of a body.

    `sequence` is that of the payee's line, where it tells of one. `previous_sequence` is that of
    the line that this endpoint was sent before, whatever has become of it.
    """
    event = {
        "specversion": "1.0",
        "id": delivery_id,
        "type": event_type,
        "source": SOURCE,
        "time": _rfc_3339(at),
        "datacontenttype": "application/json",
        "sequence": sequence,
        "previous_sequence": previous_sequence,
        "data": data,
    }
    return msgspec.json.encode(event).decode()


def share_data(fact: PayeeFact) -> dict[str, Any]:
    """Return what a payee is told of a line of theirs: nothing of who deployed."""
    data = {
        "payee_id": fact.payee_id,
        "deployment_id": fact.deployment_id,
        "module_id": fact.module_id,
        "recognized_at": _rfc_3339(fact.recognized_at),
        "true_revenue": _money(fact.true_revenue_minor, fact.currency),
        "share": _money(fact.share_minor, fact.currency),
        "share_percent": f"{fact.share_basis_points // 100}.{fact.share_basis_points % 100:02}",
        "running_total": _money(fact.running_total_minor, fact.currency),
        "line": fact.line,
    }
    match fact:
        case ShareReversed():
            return data | {"reverses": fact.reverses}
        case ShareAccrued():
            return data


def statement_data(fact: StatementClosed) -> dict[str, Any]:
    """Return what a payee is told of a statement of theirs."""
    each = fact.statement
    amounts = (
        *("opening", "accrued", "reversed", "adjustments", "balance", "disputed"),
        *("payable", "carried_forward"),
    )
    return {
        "payee_id": each.payee_id,
        "statement_id": each.statement_id,
        "period": each.period,
        **{name: _money(getattr(each, f"{name}_minor"), each.currency) for name in amounts},
        "lines": each.lines,
        "first_sequence": each.first_sequence,
        "last_sequence": each.last_sequence,
        "lines_digest": each.lines_digest,
    }


def signature(secrets: Iterable[str], *, delivery_id: str, timestamp: int, content: bytes) -> str:
    """Return the `webhook-signature` header: one `v1` for each secret, with spaces between them."""
    signed = f"{delivery_id}.{timestamp}.".encode() + content
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(secret), signed, sha256)).decode()
        for secret in secrets
    )


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))


def _money(amount_minor: int, currency: str) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": currency}


def _rfc_3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
