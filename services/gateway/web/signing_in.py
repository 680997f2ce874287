"""Signing in, signing up and signing out."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from services.gateway.gateway import Gateway
from services.gateway.http.problems import kind_of
from services.gateway.web.api import ApiProblem
from services.gateway.web.pages import Pages
from services.gateway.web.visit import Form, Visit, local

pages: Final = Pages()


@pages.get("/signin", anyone=True)
async def signin(visit: Visit) -> Response:
    """Show the form; those who are signed in go on."""
    if visit.me is not None:
        return visit.go(local(visit.query.get("next")))
    code = visit.query.get("error", "")
    title = kind_of(code)[1] if code.isascii() and code.isupper() else None
    return _form(visit, "signin.html", Form(), error=title)


@pages.post("/signin", anyone=True)
async def sign_in(visit: Visit) -> Response:
    """Sign in with e-mail and password."""
    form = await visit.form()
    try:
        await visit.api.call(
            "POST", "/api/session",
            body={"email": form.value("email").strip(), "password": form.value("password")},
        )  # fmt: skip
    except ApiProblem as problem:
        form.problem = problem
        return _form(visit, "signin.html", form, status=problem.status)
    return visit.go(local(form.given("next")))


@pages.get("/signup", anyone=True)
async def signup(visit: Visit) -> Response:
    """Show the form; a referral link fills its code in."""
    if visit.me is not None:
        return visit.go("/")
    return _form(visit, "signup.html", Form({"referral_code": visit.query.get("ref", "")}))


@pages.post("/signup", anyone=True)
async def sign_up(visit: Visit) -> Response:
    """Register, and sign in at once."""
    form = await visit.form()
    email, password = form.value("email").strip(), form.value("password")
    body: dict[str, Any] = {"email": email, "password": password}
    for name in ("name", "referral_code"):
        if (text := form.given(name)) is not None:
            body[name] = text
    try:
        await visit.api.post("/api/users", body, key=form.key)
        await visit.api.call("POST", "/api/session", body={"email": email, "password": password})
    except ApiProblem as problem:
        form.problem = problem
        return _form(visit, "signup.html", form, status=problem.status)
    return visit.go("/deploy", "Welcome to Tollgate.")


@pages.post("/signout", anyone=True)
async def sign_out(visit: Visit) -> Response:
    """End the session."""
    await visit.api.call("DELETE", "/api/session")
    return visit.go("/signin", "You are signed out.")


@pages.get("/parts/credits")
async def credits_line(visit: Visit) -> Response:
    """Show the balance that stands at the top of every page."""
    return visit.show("credits_line.html")


def _form(
    visit: Visit, template: str, form: Form, *, status: int = 200, error: str | None = None
) -> Response:
    gateway: Gateway = visit.request.app.state.gateway
    to = local(form.given("next") or visit.query.get("next"))
    openid = None
    if gateway.openid is not None:
        asked = {"return_to": to}
        if code := form.given("referral_code"):
            asked["referral_code"] = code
        openid = f"/auth/oidc/login?{urlencode(asked)}"
    return visit.show(template, status=status, form=form, to=to, openid=openid, error=error)
