"""Problem details (RFC 9457): every code there is, and how anything that goes wrong becomes one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from services.gateway.http.json_bytes import json_bytes
from services.gateway.passwords import BusyError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1
_CONFLICT: Final = 409
_SERVER_ERROR: Final = 500

CODES: Final[Mapping[str, tuple[int, str]]] = {
    "INVALID_JSON": (422, "The body is not JSON"),
    "INVALID_CURSOR": (422, "The cursor is not one of ours, or of another list"),
    "BAD_SIGNATURE": (400, "The signature is not good"),
    "SIGNATURE_TOO_OLD": (400, "The signature is too old"),
    "OIDC_STATE_MISMATCH": (400, "This browser did not ask to sign in, or too long ago"),
    "OIDC_REFUSED": (400, "The provider's answer does not sign anybody in"),
    "OIDC_EMAIL_NOT_VERIFIED": (403, "The provider has verified no e-mail address"),
    "OIDC_UNAVAILABLE": (503, "The provider cannot be reached for the moment"),
    "BAD_REQUEST": (400, "The request cannot be read"),
    "UNAUTHENTICATED": (401, "Sign in first"),
    "BAD_CREDENTIALS": (401, "The e-mail address or the password is wrong"),
    "INSUFFICIENT_TOTAL_CREDITS": (402, "Not enough credits"),
    "INSUFFICIENT_PURCHASED_CREDITS": (402, "Not enough purchased credits"),
    "FORBIDDEN": (403, "Not allowed"),
    "ACCOUNT_INACTIVE": (403, "The account is deactivated"),
    "CROSS_SITE_REQUEST": (403, "The request comes from another site"),
    "INSUFFICIENT_SCOPE": (403, "The token is not for this"),
    "REGISTRATION_CLOSED": (403, "Registration is closed"),
    "SELF_AWARD": (403, "Nobody gives credits to themselves"),
    "NOT_FOUND": (404, "There is no such thing"),
    "UNKNOWN_MODULE": (404, "There is no such module"),
    "UNKNOWN_MODULE_VERSION": (404, "There is no such version of the module"),
    "UNKNOWN_DEPLOYMENT": (404, "There is no such deployment"),
    "UNKNOWN_WEBHOOK": (404, "There is no such webhook"),
    "METHOD_NOT_ALLOWED": (405, "The resource has no such method"),
    "NOT_ACCEPTABLE": (406, "The resource has no such form"),
    "IDEMPOTENCY_IN_PROGRESS": (409, "The first request with this key is still running"),
    "EMAIL_TAKEN": (409, "The e-mail address has an account"),
    "LAST_ADMIN": (409, "The last admin stays"),
    "MODULE_WITHDRAWN": (409, "The module is withdrawn"),
    "DEPLOYMENT_NOT_SUCCEEDED": (409, "The deployment has not succeeded"),
    "TOO_MANY_PINS": (409, "Too many modules are pinned"),
    "TOO_MANY_WEBHOOKS": (409, "Too many webhooks are registered"),
    "WEBHOOK_DISABLED": (409, "The webhook is not enabled"),
    "ILLEGAL_TRANSITION": (409, "Not possible in the present state"),
    "CURRENCY_FIXED": (409, "The currency is fixed"),
    "NOT_SETTLED": (409, "The deployment was not paid for"),
    "NOTHING_TO_REFUND": (409, "Nothing is left to refund"),
    "REFUND_EXCEEDS_SETTLEMENT": (409, "More than is left to refund"),
    "NO_REPOSITORY": (409, "No repository is set"),
    "PROJECT_COSTS_DISABLED": (409, "Project costs are switched off"),
    "CREDITS_DISABLED": (409, "Credits are switched off"),
    "PRECONDITION_FAILED": (412, "It has changed since it was read"),
    "BODY_TOO_LARGE": (413, "The body is too large"),
    "URI_TOO_LONG": (414, "The address is too long"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "The body's type is not supported"),
    "INVALID_INPUT": (422, "The input is not valid"),
    "INVALID_VARIABLES": (422, "The variables are not valid"),
    "INVALID_EMAIL": (422, "The e-mail address is not one"),
    "INVALID_PASSWORD": (422, "The password is not usable"),
    "INVALID_NAME": (422, "The name is not usable"),
    "INVALID_ROLE": (422, "There is no such role"),
    "INVALID_REFERRER": (422, "The referrer is not an active agent"),
    "INVALID_SETTINGS": (422, "The settings are not valid"),
    "INVALID_REPOSITORY": (422, "The repository's address is not valid"),
    "EXPIRES_IN_THE_PAST": (422, "The credits would be expired already"),
    "INVALID_WEBHOOK_URL": (422, "No webhook goes to this address"),
    "CURRENCY_MISMATCH": (422, "The platform has another currency"),
    "PURCHASE_TOO_LARGE": (422, "More than can be bought at once"),
    "UNKNOWN_USER": (422, "There is no such user"),
    "IDEMPOTENCY_KEY_REUSED": (422, "The key was used for another request"),
    "TOO_MANY_REQUESTS": (429, "Too many requests"),
    "INTERNAL_ERROR": (500, "Something is broken here"),
    "WEBHOOKS_NOT_CONFIGURED": (503, "Webhooks cannot be registered here yet"),
    "STRIPE_NOT_CONFIGURED": (503, "Credits cannot be bought here yet"),
    "STRIPE_REFUSED": (502, "Stripe does not open a payment for this"),
    "STRIPE_UNAVAILABLE": (503, "Stripe cannot be reached for the moment"),
    "UNAVAILABLE": (503, "Not available for the moment"),
    "REQUEST_EXPIRED": (503, "The request was not carried out in time"),
    "HOLD_REQUEST_EXPIRED": (503, "The request was not carried out in time"),
}
"""Code → status and title. A code that another service refuses with and is not here is a 409."""

_BY_STATUS: Final = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}

_INPUT_CODES: Final = {
    "missing": "REQUIRED",
    "extra_forbidden": "UNKNOWN_FIELD",
    "int_type": "NOT_A_WHOLE_NUMBER",
    "int_from_float": "NOT_A_WHOLE_NUMBER",
    "int_parsing": "NOT_A_WHOLE_NUMBER",
    "bool_type": "NOT_A_BOOLEAN",
    "bool_parsing": "NOT_A_BOOLEAN",
    "string_type": "NOT_A_TEXT",
    "list_type": "NOT_A_LIST",
    "dict_type": "NOT_AN_OBJECT",
    "model_type": "NOT_AN_OBJECT",
    "model_attributes_type": "NOT_AN_OBJECT",
    "greater_than": "TOO_SMALL",
    "greater_than_equal": "TOO_SMALL",
    "less_than": "TOO_LARGE",
    "less_than_equal": "TOO_LARGE",
    "string_too_short": "TOO_SHORT",
    "string_too_long": "TOO_LONG",
    "too_short": "TOO_SHORT",
    "too_long": "TOO_LONG",
    "string_pattern_mismatch": "WRONG_FORM",
    "literal_error": "NOT_AN_OPTION",
    "enum": "NOT_AN_OPTION",
}
ERRORS_MAX: Final = 100
_WORD: Final = re.compile(r"[^A-Z0-9]+")


class ProblemError(HTTPException):
    """What a call is answered with instead; `members` stand in the problem beside the rest."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        status, title = kind_of(code)
        super().__init__(status, detail or title, headers=dict(headers or {}))
        self.code = code
        self.errors = tuple(errors)
        self.members = members


def kind_of(code: str) -> tuple[int, str]:
    """Return a code's status and title."""
    return CODES.get(code) or (_CONFLICT, code.replace("_", " ").capitalize())


def invalid(pointer: str, message: str, code: str = "INVALID", **members: Any) -> ProblemError:
    """Return the problem of one field that is wrong.

    `INVALID` is what a client could know beforehand; what depends on the present state, or on
    another field, has a code of its own.
    """
    error = {"pointer": pointer, "message": message, "code": code}
    return ProblemError("INVALID_INPUT", f"{pointer} {message}", errors=[error], **members)


def problem_body(
    code: str,
    detail: str,
    *,
    request_id: str,
    errors: Sequence[Mapping[str, Any]] = (),
    members: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a problem as JSON has it."""
    status, title = kind_of(code)
    body: dict[str, Any] = {
        "type": f"urn:tollgate:problem:{code.lower().replace('_', '-')}",
        "title": title,
        "status": status,
        "detail": detail or title,
        "code": code,
        "request_id": request_id,
    }
    if errors:
        body["errors"] = list(errors)
    for name, value in (members or {}).items():
        # `status` is the HTTP status, always: what is of another kind gets a name of its own.
        body["current_status" if name == "status" else name] = value
    return body


def problem_response(
    code: str,
    detail: str = "",
    *,
    request_id: str,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """Return a problem as an answer."""
    body = problem_body(code, detail, request_id=request_id, errors=errors, members=members)
    return Response(
        json_bytes(body), status_code=body["status"], headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )  # fmt: skip


def response_for(error: Exception, request: Request) -> Response | None:
    """Return the answer to a call that an expected error ended; nothing for a bug."""
    request_id = request.scope.get("state", {}).get("request_id", "")
    match error:
        case ProblemError():
            return problem_response(
                error.code,
                str(error.detail),
                request_id=request_id,
                errors=error.errors,
                headers=error.headers,
                members=error.members,
            )
        case HTTPException():
            code = _BY_STATUS.get(error.status_code, "INTERNAL_ERROR")
            return problem_response(code, request_id=request_id, headers=error.headers)
        case RequestValidationError():
            errors = [input_error(each) for each in error.errors()[:ERRORS_MAX]]
            detail = f"{errors[0]['pointer']} {errors[0]['message']}" if errors else ""
            return problem_response(
                "INVALID_INPUT", detail.strip(), request_id=request_id, errors=errors
            )
        case Refusal():
            return refusal_response(error, request_id)
        case BusyError():
            headers = {"Retry-After": str(RETRY_SECONDS)}
            return problem_response("TOO_MANY_REQUESTS", request_id=request_id, headers=headers)
        case UnavailableError() | TimeoutError() | BaseException() if isinstance(
            error, (UnavailableError, TimeoutError, *OUTAGES)
        ):
            structlog.get_logger().warning("http.unavailable", error=repr(error))
            headers = {"Retry-After": str(RETRY_SECONDS)}
            return problem_response("UNAVAILABLE", request_id=request_id, headers=headers)
        case _:
            return None


def refusal_response(refusal: Refusal, request_id: str) -> Response:
    """Return the answer to a call that a rule of our own forbids."""
    members = dict(refusal.fields)
    pointer = members.pop("pointer", None)
    errors = (
        [{"pointer": pointer, "message": refusal.detail, "code": refusal.code}]
        if isinstance(pointer, str)
        else []
    )
    return problem_response(
        refusal.code, refusal.detail, request_id=request_id, errors=errors, members=members
    )


def input_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return where an input is wrong, and why; never what it held, which may be a secret."""
    place, *path = error["loc"] or ("body",)
    kind = str(error["type"])
    message = str(error["msg"]).removeprefix("Value error, ")
    code = _INPUT_CODES.get(kind) or _WORD.sub("_", kind.upper())
    if kind == "value_error":
        code = "INVALID"
    found = {"pointer": pointer_to(path), "message": message, "code": code}
    if place != "body":
        found["in"] = str(place)
    return found


def pointer_to(path: Sequence[Any]) -> str:
    """Return the JSON pointer (RFC 6901) of a path."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
