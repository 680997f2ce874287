"""Lists that a page filters by what its visitor has typed."""

from typing import Any, Final

from services.gateway.web.api import ApiProblem
from services.gateway.web.visit import Form, Visit

NOTHING: Final[dict[str, Any]] = {"items": [], "next_cursor": None}
NOBODY: Final = {"title": "There is no such user", "detail": "Check the id."}
"""What a list is not found for: a user whom the API does not know."""

_NOT_FOUND: Final = 404
_UNPROCESSABLE: Final = 422


async def filtered(visit: Visit, path: str, **parameters: Any) -> tuple[dict[str, Any], Form]:
    """Return a page of a list; of a filter that cannot be, nothing, and a form that says so."""
    try:
        found: dict[str, Any] = await visit.api.get(path, **parameters)
    except ApiProblem as problem:
        if problem.status == _NOT_FOUND:
            return NOTHING, Form(problem=ApiProblem(_NOT_FOUND, NOBODY))
        if problem.status == _UNPROCESSABLE:
            return NOTHING, Form(problem=problem)
        raise
    return found, Form()


def status_of(form: Form) -> int:
    """Return the status of a page whose list was filtered so."""
    return 200 if form.problem is None else form.problem.status
