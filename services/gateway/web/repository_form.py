"""The form of a repository: the platform's or a partner's."""

from typing import Any

from services.gateway.web.visit import Form


def repository_change(form: Form) -> dict[str, Any]:
    """Return the API's change of a repository.

    Secrets are never shown, so one that is left empty stays; one that is to go is ticked.
    """
    change: dict[str, Any] = {"url": form.given("url"), "branch": form.given("branch")}
    for secret in ("token", "webhook_secret"):
        if f"{secret}_remove" in form.values:
            change[secret] = None
        elif (text := form.given(secret)) is not None:
            change[secret] = text
    return change
