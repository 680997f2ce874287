"""What Stripe says when it refuses a call: the error object and its HTTP status."""

from typing import Any


class StripeError(Exception):
    """A refusal, as it goes over the wire; https://docs.stripe.com/api/errors."""

    def __init__(
        self,
        status: int,
        type_: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.code = code
        self.param = param

    def body(self) -> dict[str, Any]:
        """Return the answer's body."""
        error = {
            "type": self.type,
            "message": str(self),
            "code": self.code,
            "param": self.param,
        }
        return {"error": {name: value for name, value in error.items() if value is not None}}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> StripeError:
    """Return that something about the call is wrong."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param)


def missing(kind: str, id_: str) -> StripeError:
    """Return that there is no such object."""
    return StripeError(
        404,
        "invalid_request_error",
        f"No such {kind}: '{id_}'",
        code="resource_missing",
        param="id",
    )
