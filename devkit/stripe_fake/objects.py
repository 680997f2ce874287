"""Stripe's objects, as new: every field that Stripe always sends has its place.

Amounts are minor units, times Unix seconds. The shapes are those of the API's version below;
tests/integration/devkit/test_stripe_fake.py holds them against the SDK's own types.
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final

API_VERSION: Final = "2026-10-28.endive"
Object = dict[str, Any]


def new_id(prefix: str) -> str:
    """Return an id as Stripe's look."""
    return f"{prefix}_{secrets.token_hex(12)}"


def session(  # noqa: PLR0913 - each is one thing that Stripe is told
    *,
    now: int,
    address: str,
    amount: int,
    currency: str,
    success_url: str,
    cancel_url: str | None,
    expires_at: int,
    client_reference_id: str | None,
    customer_email: str | None,
    metadata: Mapping[str, str],
    payment_intent_metadata: Mapping[str, str],
    livemode: bool = False,
) -> Object:
    """Return an open checkout session; its payment intent is made when somebody pays."""
    id_ = f"cs_test_{secrets.token_hex(29)}"
    return {
        "id": id_,
        "object": "checkout.session",
        "adaptive_pricing": None,
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": cancel_url,
        "client_reference_id": client_reference_id,
        "client_secret": None,
        "consent": None,
        "consent_collection": None,
        "created": now,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_creation": "if_required",
        "customer_details": None,
        "customer_email": customer_email,
        "discounts": [],
        "expires_at": expires_at,
        "invoice": None,
        "livemode": livemode,
        "locale": None,
        "metadata": dict(metadata),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": ["card", "sepa_debit"],
        "payment_status": "unpaid",
        "recovered_from": None,
        "redirect_on_completion": "always",
        "return_url": None,
        "setup_intent": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "success_url": success_url,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{address}/pay/{id_}",
        # Not part of a session on the wire; see `shown`.
        "_payment_intent_metadata": dict(payment_intent_metadata),
    }


def payment_intent(*, now: int, session: Object, method: str) -> Object:
    """Return the intent to pay a session by a method: `card` or `sepa_debit`."""
    return {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "application": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": now,
        "currency": session["currency"],
        "customer": None,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": session["livemode"],
        "metadata": session["_payment_intent_metadata"],
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": new_id("pm"),
        "payment_method_types": [method],
        "payment_record": None,
        "review": None,
        "setup_future_usage": None,
        "source": None,
        "status": "requires_payment_method",
    }


def charge(*, now: int, intent: Object, status: str) -> Object:
    """Return a charge of an intent: `succeeded`, `pending` or `failed`."""
    succeeded = status == "succeeded"
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if succeeded else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "balance_transaction": new_id("txn") if succeeded else None,
        "billing_details": {
            "address": None,
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "captured": succeeded,
        "created": now,
        "currency": intent["currency"],
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": "card_declined" if status == "failed" else None,
        "failure_message": "Your card was declined." if status == "failed" else None,
        "fraud_details": {},
        "livemode": intent["livemode"],
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": {"type": "authorized" if status != "failed" else "issuer_declined"},
        "paid": succeeded,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "source": None,
        "source_transfer": None,
        "status": status,
        "transfer": None,
    }


def refund(*, now: int, charge: Object, amount: int, reason: str | None) -> Object:
    """Return a refund of so much of a charge."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "customer": None,
        "failure_balance_transaction": None,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "pending_reason": None,
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def dispute(*, now: int, charge: Object, amount: int, reason: str) -> Object:
    """Return a dispute of so much of a charge, that wants an answer."""
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": now + 7 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": charge["livemode"],
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }


def event(*, now: int, type_: str, about: Object) -> Object:
    """Return that something happened to an object, with the object as it is now."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": shown(about)},
        "livemode": about.get("livemode", False),
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type_,
    }


def shown(value: Object) -> Object:
    """Return an object as it goes over the wire: without what is only the fake's own."""
    return {name: each for name, each in value.items() if not name.startswith("_")}
