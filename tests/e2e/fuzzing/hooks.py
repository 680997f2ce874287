"""What Schemathesis is told of this API besides its description."""

from typing import Any, Final

import schemathesis

_OF_THE_DESCRIPTION: Final = frozenset({"INVALID_INPUT", "INVALID_JSON", "UNSUPPORTED_MEDIA_TYPE"})
_BEYOND_IT: Final = frozenset(
    {
        *("AFTER_END", "CURRENCY_MISMATCH", "NOT_FOR_SALE", "NOT_IN_TIME"),
        *("UNKNOWN_EVENT", "UNKNOWN_REFERRAL_CODE"),
        "NOT_A_MOMENT",  # 2026-02-30 has the form of a date
        "NOT_A_WHOLE_NUMBER",  # to JSON Schema 1.0 is an integer; credits are taken more strictly
    }
)


@schemathesis.check
def what_the_description_allows_is_no_invalid_input(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Fail where a call that fits the description is refused for what its description could say.

    A rule that depends on the present state, or on two fields, has a code of its own.
    """
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return
    if response.headers.get("content-type", [""])[0] != "application/problem+json":
        return
    problem = response.json()
    codes = {error["code"] for error in problem.get("errors", [])}
    if problem["code"] in _OF_THE_DESCRIPTION and not codes & _BEYOND_IT:
        raise AssertionError(f"{case.method} {case.path} fits, and is refused: {problem}")
