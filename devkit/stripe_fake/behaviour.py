"""How the fake behaves at the moment: well, unless it is told otherwise."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from devkit.stripe_fake.errors import StripeError

Count = Annotated[int, Field(ge=0, le=100_000)]
Seconds = Annotated[float, Field(ge=0, le=3600)]


class Behaviour(BaseModel):
    """What goes wrong, until it is told otherwise or has happened so often.

    `fail_next` calls are answered with `fail_status`; with `fail_after` the call is carried out
    all the same, and only its answer is lost. `limit_next` calls are too many, and are asked to
    come again after `pause_seconds`; every call takes `slow_seconds`. Of webhooks the next
    `drop_next` are never sent; each is sent `copies` times; those sent while `hold` is on wait
    until they are released; others are `late_seconds` late.
    """

    model_config = ConfigDict(extra="forbid", strict=True, validate_assignment=True)

    fail_next: Count = 0
    fail_status: Annotated[int, Field(ge=500, le=599)] = 500
    fail_after: bool = False
    limit_next: Count = 0
    pause_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    slow_seconds: Seconds = 0.0
    drop_next: Count = 0
    copies: Annotated[int, Field(ge=1, le=20)] = 1
    hold: bool = False
    late_seconds: Seconds = 0.0

    def refuse_call(self) -> None:
        """Raise what the next call is answered with instead, if anything."""
        if self.limit_next:
            self.limit_next -= 1
            raise StripeError(429, "invalid_request_error", "Too many requests", code="rate_limit")
        if self.fail_next and not self.fail_after:
            self.fail_next -= 1
            raise self._broken()

    def lose_answer(self) -> None:
        """Raise what is answered though the call was carried out, if anything."""
        if self.fail_next and self.fail_after:
            self.fail_next -= 1
            raise self._broken()

    def deliveries(self, now: float) -> list[float]:
        """Return when, in Unix time, a new event is sent: once, never, or several times."""
        if self.drop_next:
            self.drop_next -= 1
            return []
        far_away = 10 * 365 * 86_400.0
        return [now + (far_away if self.hold else self.late_seconds)] * self.copies

    def _broken(self) -> StripeError:
        return StripeError(self.fail_status, "api_error", "An unknown error occurred")
