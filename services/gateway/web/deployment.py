"""One deployment: what it is and does, and what can be done with it."""

import json
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from contracts.variables import MASK
from services.gateway.http.deployment_shapes import ACTIVE
from services.gateway.web.api import Answer, ApiProblem
from services.gateway.web.looking import LOOKS_MAX, looks
from services.gateway.web.pages import Pages
from services.gateway.web.rendering import with_query
from services.gateway.web.visit import Form, Visit

pages: Final = Pages()

ACCEPTED: Final = 202
UNPROCESSABLE: Final = 422
ENDED_BADLY: Final = frozenset({"FAILED", "CANCELLED", "TIMED_OUT"})
LATER: Final = "It is asked for, and takes longer than usual. This page shows it when it happens."


@pages.get("/deployments/{deployment_id}")
async def deployment(visit: Visit) -> Response:
    """Show a deployment."""
    return await _page(visit, Form())


@pages.post("/deployments/{deployment_id}/cancel")
async def cancel(visit: Visit) -> Response:
    """End the build that waits or runs."""
    form = await visit.form()
    return await _do(visit, form, "POST /cancel", "It is cancelled.")


@pages.post("/deployments/{deployment_id}/retry")
async def retry(visit: Visit) -> Response:
    """Try the last build again."""
    form = await visit.form()
    return await _do(visit, form, "POST /retry", "It is tried again.")


@pages.post("/deployments/{deployment_id}/destroy")
async def destroy(visit: Visit) -> Response:
    """Destroy all that it owns, once the module's name was typed."""
    form = await visit.form()
    name = (await visit.api.get(_api(visit)))["module_name"]
    if form.given("name") != name:
        wrong = {"pointer": "/name", "message": f"Type {name}, exactly so.", "code": "OTHER_NAME"}
        title = "Nothing was destroyed"
        form.problem = ApiProblem(UNPROCESSABLE, {"title": title, "errors": [wrong]})
        return await _page(visit, form, status=UNPROCESSABLE)
    return await _do(visit, form, "DELETE", "It is being destroyed.")


@pages.post("/deployments/{deployment_id}/rating")
async def rate(visit: Visit) -> Response:
    """Give the module stars."""
    form = await visit.form()
    body = {"stars": form.number("stars")}
    return await _do(visit, form, "PUT /rating", "Thank you for rating it.", body)


@pages.post("/deployments/{deployment_id}/refund", "finance", "admin")
async def refund(visit: Visit) -> Response:
    """Give back what it cost, or a part of it."""
    form = await visit.form()
    body = {"credits": form.number("credits"), "reason": form.value("reason").strip()}
    return await _do(visit, form, "POST /refund", "The credits are given back.", body)


async def _do(visit: Visit, form: Form, call: str, done: str, body: Any = None) -> Response:
    """Ask the API to do it; then the page says so, or why not."""
    method, _, what = call.partition(" ")
    try:
        key = form.key if method == "POST" else None
        answer = await visit.api.call(method, _api(visit) + what, body=body, key=key)
    except ApiProblem as problem:
        form.problem = problem
        return await _page(visit, form, status=problem.status)
    return visit.go(_here(visit), LATER if _pending(answer) else done)


def _pending(answer: Answer) -> bool:
    return answer.status == ACCEPTED and answer.json.get("status") == "PENDING"


async def _page(visit: Visit, form: Form, *, status: int = 200) -> Response:
    found = await visit.api.get(_api(visit))
    mine = found["user_id"] == visit.user_id
    builds = found["builds"]
    newest = builds[-1] if builds else None
    asked = visit.query.get("build")
    shown = next((each for each in builds if each["id"] == asked), newest)
    # Where others stand in the queue nobody is told live; that its own turn comes, everybody is.
    look = looks(visit)
    looks_again = found["queue"] is not None and look < LOOKS_MAX
    return visit.show(
        "deployment.html",
        status=status,
        it=found,
        form=form,
        here=_here(visit),
        again=with_query(
            _here(visit),
            build=asked if shown is not newest else None,
            look=look + 1 if looks_again else None,
        ),
        looks_again=looks_again,
        owner=None if mine else await _owner(visit),
        actions=actions(found) if mine or visit.has("admin") else frozenset(),
        rates=mine and any(each["status"] == "SUCCESS" for each in found["status_history"]),
        refundable=_refundable(visit, found),
        newest=newest,
        shown=shown,
        pinned=shown is not newest,
        actions_of={each["id"]: each["action"] for each in builds},
        took={each["id"]: took(each["started_at"], each["finished_at"]) for each in builds},
        variables=[(name, shown_value(value)) for name, value in _items(found["variables"])],
        outputs=[
            (name, None if each["sensitive"] else shown_value(each["value"]))
            for name, each in _items(found["outputs"])
        ],
        mask=MASK,
    )


def actions(found: dict[str, Any]) -> frozenset[str]:
    """Return what can be asked of a deployment as it stands; docs/deployments.md has the table."""
    status = found["status"]
    if status in ACTIVE:
        return frozenset({"cancel"})
    if status in ENDED_BADLY:
        return frozenset({"retry", "destroy"})
    if status != "SUCCESS":
        return frozenset()
    possible = {"update", "destroy"}
    if found["builds"] and found["builds"][-1]["status"] in ENDED_BADLY:
        possible.add("retry")
    return frozenset(possible)


def took(begun: str | None, ended: str | None) -> str | None:
    """Return how long something took, in words: 1 min 5 s."""
    if begun is None or ended is None:
        return None
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shown_value(value: Any) -> str:
    """Return a value as people read it: a text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2)


def _items(values: dict[str, Any] | None) -> list[tuple[str, Any]]:
    return sorted((values or {}).items())


def _refundable(visit: Visit, found: dict[str, Any]) -> int:
    """Return how many credits the visitor can give back; 0 where it is not theirs to do."""
    settlement = found["settlement"]
    if not visit.has("finance", "admin") or found["user_id"] == visit.user_id:
        return 0
    if settlement is None or settlement["status"] != "SETTLED":
        return 0
    return int(settlement["credits"] - settlement["refunded"])


async def _owner(visit: Visit) -> str | None:
    """Return the address of the owner, which the list of all deployments has."""
    found = await visit.api.get("/api/deployments", scope="all", search=_id(visit), limit=1)
    rows = found["items"]
    return str(rows[0]["user_email"]) if rows and rows[0]["user_email"] else None


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["deployment_id"])


def _api(visit: Visit) -> str:
    return visit.api.at("/api/deployments/{}", _id(visit))


def _here(visit: Visit) -> str:
    return f"/deployments/{_id(visit)}"
