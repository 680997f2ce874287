"""The shop window: pushed by its author, deployed, rated, pushed again, withdrawn."""

import asyncio
import hashlib
import hmac
import json
import shutil
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.e2e.invariants import broken
from tests.e2e.repositories import commit, platform_repository
from tests.support.story import Story, deploy, module, story, succeeds, sync, wait_for

pytestmark = [pytest.mark.timeout(300)]

NAME: Final = "static-website"
SECRET: Final = "as GitHub knows it"  # noqa: S105 - a test's own
VALUES: Final = {"domain": "www.example.org"}
REQUIRED: Final = 'variable "owner" {\n  type        = string\n  description = "Who."\n}\n'


def push(told: Story, folder: Path, delivery: str, secret: str = SECRET) -> httpx2.Response:
    """Tell of a push as GitHub does."""
    repository = {"clone_url": str(folder), "default_branch": "main"}
    body = json.dumps({"ref": "refs/heads/main", "repository": repository}).encode()
    signature = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    return httpx2.post(f"{told.system.url}/api/hooks/github", content=body, headers=headers)


def pushed(told: Story, folder: Path, delivery: str) -> Any:
    """Tell of a push, and return what the sync came to for the module."""
    answer = push(told, folder, delivery)
    assert answer.status_code == 202, answer.text
    [sync_id] = answer.json()["syncs"]
    done = wait_for(
        "the sync's end",
        lambda: told.admin.gets(f"/api/syncs/{sync_id}"),
        lambda report: report["status"] != "RUNNING",
    )
    assert done["status"] == "DONE", done
    [report] = [each for each in done["modules"] if each["name"] == NAME]
    return report


def test_a_module_is_pushed_deployed_rated_changed_and_withdrawn() -> None:
    with story() as told:
        told.user.signs_up()
        folder = told.folder / "platform"
        url = platform_repository(folder)
        repository = {"url": url, "branch": "main", "webhook_secret": SECRET}
        told.admin.patches("/api/settings", {"platform_repository": repository})
        sync(told.admin, "platform")
        award = {"user_id": told.user.id, "credits": 200, "reason": "to begin with"}
        told.admin.posts("/api/credits/awards", award)

        first = deploy(told.user, module(told.user, NAME), VALUES)
        succeeds(told.user, first["id"])
        rating = f"/api/deployments/{first['id']}/rating"
        told.user.asks("PUT", rating, {"stars": 4}, status=204)
        told.user.asks("PUT", f"/api/modules/{first['module_id']}/pin", status=204)
        card = told.user.gets("/api/modules", limit=1)["items"][0]
        assert (card["name"], card["rating"]) == (NAME, {"average": "4.00", "count": 1})
        assert (card["deployment_count"], card["pinned"]) == (1, True)

        with (folder / NAME / "variables.tf").open("a") as file:
            file.write(REQUIRED)
        commit(folder)
        assert push(told, folder, "forged", secret="guessed").status_code == 400
        report = pushed(told, folder, "delivery-1")
        assert (report["outcome"], report["version"], report["live_deployments"]) == (
            "UPDATED", 2, 1,
        )  # fmt: skip
        assert report["changes"] == [
            {"variable": "owner", "change": "added, and required", "breaking": True}
        ]
        told.user.is_refused(
            "/api/deployments",
            {"module_id": first["module_id"], "variables": VALUES},
            status=422,
            code="INVALID_VARIABLES",
        )
        older = told.user.posts(
            "/api/deployments",
            {"module_id": first["module_id"], "variables": VALUES, "version": 1},
        )
        assert succeeds(told.user, older["id"])["version"] == 1

        shutil.rmtree(folder / NAME)
        commit(folder)
        report = pushed(told, folder, "delivery-2")
        assert (report["outcome"], report["live_deployments"]) == ("WITHDRAWN", 2)
        for version in ({}, {"version": 1}, {"version": 2}):
            told.user.is_refused(
                "/api/deployments",
                {"module_id": first["module_id"], "variables": VALUES, **version},
                status=409,
                code="MODULE_WITHDRAWN",
            )
        assert told.user.gets(f"/api/deployments/{first['id']}")["status"] == "SUCCESS"
        told.user.asks("PUT", rating, {"stars": 5}, status=204)
        assert told.user.gets(f"/api/modules/{first['module_id']}")["rating"]["average"] == "5.00"
        assert asyncio.run(broken(told.system)) == []
