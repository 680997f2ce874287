"""A module's page, and the forms by which it is deployed, and its deployments are updated."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response

from contracts.variables import MASK
from services.gateway.web.api import ApiProblem
from services.gateway.web.deployment import actions
from services.gateway.web.pages import Pages
from services.gateway.web.variable_form import (
    WAYS,
    Step,
    entered_as,
    focus_of,
    steps_of,
    with_row,
    without_row,
)
from services.gateway.web.variable_slots import slot_of
from services.gateway.web.variables import CONTROLS_MAX, first_fields, is_too_large, values_of
from services.gateway.web.visit import BadFormError, Form, Visit

pages: Final = Pages()

DEPLOYMENTS_LOOKED_AT: Final = 50
"""Of so many deployments the projects are suggested."""
_UNPROCESSABLE: Final = 422
_ADVICE: Final = {
    "INSUFFICIENT_TOTAL_CREDITS": "You have not enough credits.",
    "INSUFFICIENT_PURCHASED_CREDITS": (
        "This module takes purchased credits only, and you have not enough of them."
    ),
    "MODULE_WITHDRAWN": "The module was withdrawn: it can no longer be deployed.",
}


@dataclass
class Draft:
    """What somebody is about to deploy, or to change of a deployment."""

    module: dict[str, Any]
    fields: dict[str, str]
    deployment: dict[str, Any] | None = None
    project: str = ""
    quote: dict[str, Any] | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    is_sent: bool = False
    is_final: bool = False

    @property
    def present(self) -> dict[str, Any] | None:
        """The variables that the deployment has."""
        return None if self.deployment is None else self.deployment["variables"] or {}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The form's steps; what is not filled in yet is wrong only once it was to be final."""
        told = [each for each in self.problems if self.is_final or not _is_missing(each)]
        return steps_of(self.module["variables"], self.fields, told, self.present)

    @property
    def missing(self) -> list[str]:
        """The variables that are still to be filled in."""
        return self._in_order(_name_in(each) for each in self.problems if _is_missing(each))

    @property
    def wrong(self) -> list[str]:
        """The variables with something that cannot stay as it is."""
        return self._in_order(_name_in(each) for each in self.problems if not _is_missing(each))

    @property
    def dropped(self) -> list[str]:
        """The variables that the deployment has, and this version of the module has not."""
        offered = {each["name"] for each in self.module["variables"]}
        return sorted(set(self.present or ()) - offered)

    def _in_order(self, names: Iterable[str]) -> list[str]:
        found = set(names)
        return [each["name"] for each in self.module["variables"] if each["name"] in found]

    @property
    def shortage(self) -> int:
        """How many credits are missing; 0 where none are."""
        if self.quote is None or self.quote["refusal"] not in _ADVICE:
            return 0
        return max(0, int(self.quote["required"]) - int(self.quote["available"]))

    @property
    def advice(self) -> str:
        """Why it would be refused."""
        refusal = (self.quote or {}).get("refusal")
        return _ADVICE.get(refusal, f"It would be refused: {refusal}.") if refusal else ""


@pages.get("/deploy/{module}")
async def module(visit: Visit) -> Response:
    """Show a module with its form, as it begins."""
    found = await _module(visit, visit.request.path_params["module"], visit.query.get("version"))
    draft = Draft(found, first_fields(found["variables"]), project=visit.query.get("project", ""))
    return await _deploy_page(visit, Form(), draft)


@pages.post("/deploy/{module}")
async def deploy(visit: Visit) -> Response:
    """Deploy what was entered; or change the form; or say what it would cost."""
    form = await visit.form()
    module_id = visit.request.path_params["module"]
    found = await _module(visit, module_id, form.given("version"))
    draft = _draft_of(form, found)
    if form.value("do") != "deploy":
        return await _deploy_page(visit, form, draft)
    if draft.problems:
        form.problem = _invalid(draft.problems)
        return await _deploy_page(visit, form, draft, status=_UNPROCESSABLE)
    body: dict[str, Any] = {
        "module_id": module_id,
        "version": found["shown_version"],
        "variables": draft.values,
        "project": form.given("project"),
    }
    try:
        made = await visit.api.post("/api/deployments", body, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        draft.problems = problem.errors
        if problem.code == "MODULE_WITHDRAWN":
            draft.module = {**found, "withdrawn": True}
        return await _deploy_page(visit, form, draft, status=problem.status)
    if made["status"] == "PENDING":
        notice = "It takes a moment longer. Your deployment is shown here as soon as it is queued."
        return visit.go("/deployments", notice)
    return visit.go(f"/deployments/{made['id']}", f"{found['title']} is being deployed.")


@pages.get("/deployments/{id}/update")
async def update_form(visit: Visit) -> Response:
    """Show a deployment's form with the values that it has."""
    deployment, found = await _deployed(visit, visit.query.get("version"))
    present = deployment["variables"] or {}
    fields = first_fields(found["variables"], present)
    return await _update_page(visit, Form(), Draft(found, fields, deployment))


@pages.post("/deployments/{id}/update")
async def update(visit: Visit) -> Response:
    """Update a deployment; or change the form; or say what would change."""
    form = await visit.form()
    deployment, found = await _deployed(visit, form.given("version"))
    draft = _draft_of(form, found, deployment)
    if form.value("do") != "update":
        return await _update_page(visit, form, draft)
    if draft.problems:
        form.problem = _invalid(draft.problems)
        return await _update_page(visit, form, draft, status=_UNPROCESSABLE)
    body = {"variables": draft.values, "version": found["shown_version"]}
    try:
        path = visit.api.at("/api/deployments/{}", deployment["id"])
        await visit.api.call("PUT", path, body=body, key=form.key)
    except ApiProblem as problem:
        form.problem = problem
        draft.problems = problem.errors
        return await _update_page(visit, form, draft, status=problem.status)
    return visit.go(f"/deployments/{deployment['id']}", "The deployment is being updated.")


async def _deploy_page(visit: Visit, form: Form, draft: Draft, *, status: int = 200) -> Response:
    projects, _ = await asyncio.gather(_projects(visit), _ask(visit, draft))
    return visit.show(
        "module.html",
        status=status,
        form=form,
        draft=draft,
        module=draft.module,
        projects=projects,
        action=f"/deploy/{draft.module['id']}",
        focus=focus_of(draft.steps, form.value("do")),
    )


async def _update_page(visit: Visit, form: Form, draft: Draft, *, status: int = 200) -> Response:
    await _ask(visit, draft)
    deployment = draft.deployment or {}
    return visit.show(
        "update.html",
        status=status,
        form=form,
        draft=draft,
        module=draft.module,
        deployment=deployment,
        is_possible="update" in actions(deployment),
        action=f"/deployments/{deployment['id']}/update",
        focus=focus_of(draft.steps, form.value("do")),
    )


async def _module(
    visit: Visit, module_id: str, version: str | None, deployment_id: str | None = None
) -> dict[str, Any]:
    path = visit.api.at("/api/modules/{}", module_id)
    found: dict[str, Any] = await visit.api.get(path, version=version, deployment_id=deployment_id)
    return found


async def _deployed(visit: Visit, version: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a deployment, and its module in the version it has, or in another."""
    path = visit.api.at("/api/deployments/{}", visit.request.path_params["id"])
    deployment = await visit.api.get(path)
    version = version or str(deployment["version"])
    module = await _module(visit, deployment["module_id"], version, deployment["id"])
    return deployment, module


async def _projects(visit: Visit) -> list[str]:
    """Return the projects of one's newest deployments, the newest first."""
    found = await visit.api.get("/api/deployments", limit=DEPLOYMENTS_LOOKED_AT)
    return list(dict.fromkeys(each["project"] for each in found["items"] if each["project"]))


def _draft_of(
    form: Form, module: dict[str, Any], deployment: dict[str, Any] | None = None
) -> Draft:
    """Return what was sent, with what its sender did to the form."""
    fields = _changed(form, module)
    draft = Draft(module, fields, deployment, form.value("project"), is_sent=True)
    draft.is_final = form.value("do") in {"deploy", "update"}
    draft.values, wrong = values_of(module["variables"], fields, draft.present)
    draft.problems = [
        {"pointer": each.pointer, "message": each.message, "code": each.code} for each in wrong
    ]
    return draft


def _changed(form: Form, module: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields after what a button of the form does: add or drop a row, or another way."""
    fields = dict(form.values)
    if _has_too_many(module, fields):
        raise BadFormError(
            f"a variable has more than {CONTROLS_MAX} controls: it is entered as JSON"
        )
    act, _, rest = form.value("do").partition(":")
    name, _, last = rest.rpartition(":")
    match act:
        case "add":
            grown = with_row(fields, rest)
            return fields if _has_too_many(module, grown) else grown
        case "drop" if last.isascii() and last.isdigit():
            return without_row(fields, name, int(last))
        case "as" if last in WAYS:
            found = (each for each in module["variables"] if each["name"] == name)
            variable = next(found, None)
            return fields if variable is None else entered_as(fields, variable, WAYS[last])
        case _:
            return fields


def _has_too_many(module: Mapping[str, Any], fields: Mapping[str, str]) -> bool:
    return any(is_too_large(slot_of(each), fields) for each in module["variables"])


async def _ask(visit: Visit, draft: Draft) -> None:
    """Ask the API what it costs, and, unless that was told already, what is wrong."""
    if not draft.is_sent:
        draft.values, _ = values_of(draft.module["variables"], draft.fields, draft.present)
    asked = {"module_id": draft.module["id"], "version": draft.module["shown_version"]}
    if draft.deployment is not None:
        asked["deployment_id"] = draft.deployment["id"]
    secret = {each["name"] for each in draft.module["variables"] if each["sensitive"]}
    kept = {name for name in secret if draft.values.get(name) == MASK}
    values = {name: value for name, value in draft.values.items() if name not in kept}
    draft.quote, problems = await asyncio.gather(
        visit.api.post("/api/quotes", asked),
        _problems(visit, {**asked, "variables": values}),
    )
    # What could not be read was not sent, and so is missing for the API; kept secrets are too.
    known = kept | {_name_in(each) for each in draft.problems}
    draft.problems += [each for each in problems if _name_in(each) not in known]


async def _problems(visit: Visit, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        await visit.api.post("/api/quotes", asked)
    except ApiProblem as problem:
        if problem.status != _UNPROCESSABLE:
            raise
        return problem.errors
    return []


def _invalid(problems: list[dict[str, Any]]) -> ApiProblem:
    title = "The variables are not valid"
    body = {"code": "INVALID_VARIABLES", "title": title, "errors": problems}
    return ApiProblem(_UNPROCESSABLE, body)


def _is_missing(problem: Mapping[str, Any]) -> bool:
    """Return whether nothing was entered yet, in a variable or in a part of it."""
    return str(problem["code"]) == "REQUIRED" or str(problem["message"]) == "is required"


def _name_in(problem: Mapping[str, Any]) -> str:
    """Return the variable that a problem's pointer leads to."""
    step = str(problem["pointer"]).removeprefix("/variables/").partition("/")[0]
    return step.replace("~1", "/").replace("~0", "~")
