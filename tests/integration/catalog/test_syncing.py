import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.archive import FolderStore
from tests.integration.catalog.conftest import Catalog, RunCatalog, outcomes, sync_request
from tests.integration.catalog.git_host import GitHost, Repository, serve
from tests.unit.catalog.modules import EXAMPLES, MAIN

TOKEN = "glpat-Zm9vYmFy_0123456789"


def yaml(name: str, cost: int = 5) -> str:
    return f"name: {name}\ncredit_cost: {cost}\n"


def module(name: str, cost: int = 5, directory: str | None = None) -> dict[str, str | bytes]:
    path = directory or name
    return {f"{path}/module.yaml": yaml(name, cost), f"{path}/main.tf": MAIN}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with serve(tmp_path / "hosted") as host:
        yield host


async def test_a_sync_publishes_every_module_with_its_source(
    catalog: Catalog, tmp_path: Path
) -> None:
    files = {
        path.relative_to(EXAMPLES).as_posix(): path.read_bytes()
        for path in EXAMPLES.rglob("*")
        if path.is_file()
    }
    repository = Repository.make(tmp_path / "modules", {**files, **module("broken", -5)})
    request = sync_request(str(repository.path))
    report = await catalog.report(await catalog.take(request))
    assert (report["status"], report["error"]) == ("DONE", None)
    assert report["commit"] == repository.git("rev-parse", "HEAD")
    expected: dict[str, tuple[str, int | None]] = {
        path.name: ("PUBLISHED", 1) for path in EXAMPLES.iterdir() if path.is_dir()
    }
    assert outcomes(report) == expected | {"broken": ("REFUSED", None)}
    [broken] = [each for each in report["modules"] if each["path"] == "broken"]
    assert broken["problems"] == [
        {"file": "module.yaml", "line": 2, "message": "`credit_cost` must not be negative"}
    ]

    messages = await catalog.published("module_published")
    assert len(messages) == len(expected)
    assert {each["correlationid"] for each in messages} == {request.correlationid}
    [website] = [m["data"] for m in messages if m["data"]["path"] == "static-website"]
    assert (website["source"], website["partner_id"]) == ("admin", None)
    assert (website["repository"], website["commit"]) == (
        str(repository.path),
        report["commit"],
    )
    assert website["definition"]["credit_cost"] == 50
    assert FolderStore(catalog.archive).get(website["archive_digest"])
    assert list(catalog.work.iterdir()) == []


async def test_each_sync_tells_what_became_of_each_module(catalog: Catalog, tmp_path: Path) -> None:
    repository = Repository.make(
        tmp_path / "modules", {**module("web"), **module("api"), **module("old")}
    )
    url = str(repository.path)
    first = await catalog.sync(url)
    ids = {each["path"]: each["module_id"] for each in first["modules"]}

    repository.commit(
        {
            **module("web", 7),
            "web/variables.tf": 'variable "region" { type = string }\n',
            "old": None,
            **module("new"),
        }
    )
    second = await catalog.sync(url)
    assert outcomes(second) == {
        "api": ("UNCHANGED", 1),
        "new": ("PUBLISHED", 1),
        "old": ("WITHDRAWN", 1),
        "web": ("UPDATED", 2),
    }
    [web] = [each for each in second["modules"] if each["path"] == "web"]
    assert web["module_id"] == ids["web"]
    assert web["changes"] == [
        {"variable": None, "change": "costs 7 credits, 5 until now", "breaking": False},
        {"variable": "region", "change": "added, and required", "breaking": True},
    ]

    repository.commit({**module("old"), "web/main.tf": "broken {"})
    third = await catalog.sync(url)
    assert outcomes(third) == {
        "api": ("UNCHANGED", 1),
        "new": ("UNCHANGED", 1),
        "old": ("PUBLISHED", 2),
        "web": ("REFUSED", None),
    }
    assert [m["sequence"] for m in await catalog.published("module_updated")] == [2]
    assert [m["subject"] for m in await catalog.published("module_withdrawn")] == [
        f"module-{ids['old']}"
    ]

    repository.commit({"web/main.tf": MAIN})
    fourth = await catalog.sync(url)
    assert outcomes(fourth)["web"] == ("UNCHANGED", 2)
    assert outcomes(await catalog.sync(url)) == {
        path: ("UNCHANGED", version) for path, (_, version) in outcomes(fourth).items()
    }


async def test_partners_have_names_of_their_own(catalog: Catalog, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "modules", module("web"))
    url = str(repository.path)
    reports = [
        await catalog.sync(url),
        await catalog.sync(url, partner_id="pia"),
        await catalog.sync(url, partner_id="paul"),
    ]
    assert [outcomes(report) for report in reports] == [{"web": ("PUBLISHED", 1)}] * 3
    ids = {report["modules"][0]["module_id"] for report in reports}
    assert len(ids) == 3
    sources = [
        (m["data"]["source"], m["data"]["partner_id"])
        for m in await catalog.published("module_published")
    ]
    assert sources == [("admin", None), ("partner", "pia"), ("partner", "paul")]


async def test_a_name_that_is_taken_is_refused_and_says_by_whom(
    catalog: Catalog, tmp_path: Path
) -> None:
    repository = Repository.make(
        tmp_path / "modules", {**module("web", directory="a"), **module("web", directory="b")}
    )
    report = await catalog.sync(str(repository.path))
    assert outcomes(report) == {"a": ("PUBLISHED", 1), "b": ("REFUSED", None)}
    assert report["modules"][1]["problems"][0]["message"] == "the name `web` is taken by `a`"


@pytest.mark.parametrize(
    ("url", "branch", "error"),
    [
        ("/nonexistent/modules", None, "/nonexistent/modules is no repository"),
        ("{repository}", "nope", "{repository} has no branch nope"),
        ("{repository}", "--upload-pack=x", "'--upload-pack=x' is no name of a branch"),
        ("https://no-such-host.invalid/x", None, "the host no-such-host.invalid is not found"),
        ("ext::sh", None, "a repository is read by https:// only"),
        ("https://ada:pw@example.com/x", None, "the address holds credentials"),
    ],
)
async def test_a_repository_that_cannot_be_read_fails_the_sync_and_changes_nothing(
    catalog: Catalog, tmp_path: Path, url: str, branch: str | None, error: str
) -> None:
    repository = Repository.make(tmp_path / "modules", module("web"))
    await catalog.sync(str(repository.path))
    place = {"repository": str(repository.path)}
    report = await catalog.sync(url.format(**place), branch=branch)
    assert (report["status"], report["commit"], report["modules"]) == ("FAILED", None, [])
    assert report["error"].startswith(error.format(**place))
    assert len(await catalog.published("module_published")) == 1
    assert await catalog.published("module_withdrawn") == []


async def test_a_private_repository_is_read_with_its_token_which_is_then_forgotten(
    catalog: Catalog, host: GitHost
) -> None:
    Repository.make(host.root / "private", module("web"))
    host.token = TOKEN
    report = await catalog.sync(host.url("private/.git"), token=TOKEN)
    assert outcomes(report) == {"web": ("PUBLISHED", 1)}
    assert await catalog.running.pool.fetchval("select count(*) from documents") == 0
    refused = await catalog.sync(host.url("private/.git"), token="another")
    assert refused["error"] == f"{host.url('private/.git')} refuses the token"


async def test_a_token_is_nowhere_in_the_clear(catalog: Catalog, host: GitHost) -> None:
    Repository.make(host.root / "private", module("web"))
    host.token = TOKEN
    host.answers.clear()
    sync_id = await catalog.ask(host.url("private/.git"), token=TOKEN)
    assert await asyncio.to_thread(host.asked.wait, 20)
    pool = catalog.running.pool
    for query in (
        "select body from facts",
        "select body from outbox",
        "select encode(body, 'escape') from documents",
        "select encode(state, 'escape') from streams",
    ):
        texts = [row[0] or "" for row in await pool.fetch(query)]
        assert not any(TOKEN in text for text in texts)
    host.answers.set()
    assert (await catalog.report(sync_id))["status"] == "DONE"


async def test_a_token_that_was_sealed_for_somebody_else_fails_the_sync(
    run_catalog: RunCatalog, host: GitHost
) -> None:
    Repository.make(host.root / "private", module("web"))
    async with run_catalog(sealing_key=None) as catalog:
        report = await catalog.sync(host.url("private/.git"), token=TOKEN)
    assert report["error"] == "the catalogue has no key to open the repository's token with"


async def test_a_request_that_comes_twice_is_one_sync(catalog: Catalog, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "modules", module("web"))
    first = sync_request(str(repository.path), sync_id="s1")
    again = sync_request(str(repository.path), sync_id="s1")
    await asyncio.gather(catalog.take(first), catalog.take(again))
    await catalog.report("s1")
    await catalog.sync(str(repository.path))
    assert len(await catalog.published("sync_finished", "sync-s1")) == 1


async def test_syncs_of_a_scope_run_one_after_another_others_beside_them(
    catalog: Catalog, host: GitHost, tmp_path: Path
) -> None:
    Repository.make(host.root / "slow", module("web"))
    other = Repository.make(tmp_path / "modules", module("web"))
    host.answers.clear()
    slow = await catalog.ask(host.url("slow/.git"))
    assert await asyncio.to_thread(host.asked.wait, 20)
    waiting = await catalog.ask(str(other.path))
    assert (await catalog.sync(str(other.path), partner_id="pia"))["status"] == "DONE"
    assert await _statuses(catalog, slow, waiting) == ["RUNNING", "WAITING"]
    host.answers.set()
    assert outcomes(await catalog.report(slow)) == {"web": ("PUBLISHED", 1)}
    assert outcomes(await catalog.report(waiting)) == {"web": ("UPDATED", 2)}


async def test_too_many_waiting_syncs_are_refused(catalog: Catalog, host: GitHost) -> None:
    Repository.make(host.root / "slow", module("web"))
    host.answers.clear()
    ids = [await catalog.ask(host.url("slow/.git")) for _ in range(11)]
    report = await catalog.report(ids[-1])
    assert report["error"] == "10 syncs of this repository are waiting already"
    host.answers.set()
    assert {(await catalog.report(each))["status"] for each in ids[:-1]} == {"DONE"}


async def test_a_host_that_never_answers_fails_the_sync_in_time(
    run_catalog: RunCatalog, host: GitHost
) -> None:
    host.answers.clear()
    async with run_catalog(sync_timeout_seconds=1) as catalog:
        report = await catalog.sync(host.url("x"))
    assert report["status"] == "FAILED"
    assert "1 seconds" in report["error"]


async def test_a_sync_whose_process_ended_is_run_again(
    run_catalog: RunCatalog, host: GitHost
) -> None:
    Repository.make(host.root / "modules", module("web"))
    host.token = TOKEN
    host.answers.clear()
    async with run_catalog() as catalog:
        sync_id = await catalog.ask(host.url("modules/.git"), token=TOKEN)
        assert await asyncio.to_thread(host.asked.wait, 20)
        assert await _statuses(catalog, sync_id) == ["RUNNING"]
    host.answers.set()
    async with run_catalog() as catalog:
        report = await catalog.report(sync_id)
        assert outcomes(report) == {"web": ("PUBLISHED", 1)}
        assert list(catalog.work.iterdir()) == []


async def test_a_sync_that_is_interrupted_every_time_is_given_up(
    run_catalog: RunCatalog, host: GitHost
) -> None:
    host.answers.clear()
    sync_id = "s1"
    for number in range(3):
        async with run_catalog() as catalog:
            if number == 0:
                await catalog.ask(host.url("x"), sync_id=sync_id)
            assert await asyncio.to_thread(host.asked.wait, 20)
            host.asked.clear()
    async with run_catalog() as catalog:
        report = await catalog.report(sync_id)
    assert report["error"] == "the sync was interrupted 3 times; ask for another"


async def test_two_replicas_do_not_do_the_same_sync_twice(
    run_catalog: RunCatalog, host: GitHost, tmp_path: Path
) -> None:
    Repository.make(host.root / "modules", module("web"))
    async with run_catalog() as one, run_catalog(work_dir=tmp_path / "other-work") as two:
        asked: list[Any] = [
            await each.ask(host.url("modules/.git"), partner_id=f"p{number}")
            for number in range(3)
            for each in (one, two)
        ]
        reports = [await one.report(each) for each in asked]
    assert [report["status"] for report in reports] == ["DONE"] * 6
    attempts = "select count(*) from facts where body like '%sync_started%'"
    async with run_catalog() as third:
        assert await third.running.pool.fetchval(attempts) == 6


async def _statuses(catalog: Catalog, *sync_ids: str) -> list[str]:
    rows = await catalog.running.pool.fetch("select sync_id, status from syncs")
    found = {row["sync_id"]: row["status"] for row in rows}
    return [found[sync_id] for sync_id in sync_ids]


async def test_a_commit_that_was_read_is_neither_fetched_nor_read_again(
    catalog: Catalog, host: GitHost
) -> None:
    files = {**module("web"), "bad/module.yaml": "{", "shared/main.tf": MAIN}
    repository = Repository.make(host.root / "modules", files)
    url = host.url("modules/.git")
    first = await catalog.sync(url)
    fetches = host.fetches
    second = await catalog.sync(url)
    assert host.fetches == fetches
    assert fetches > 0
    assert outcomes(second) == {"web": ("UNCHANGED", 1), "bad": ("REFUSED", None)}
    assert second["commit"] == first["commit"]
    assert second["passed_over"] == first["passed_over"] == ["shared"]
    refused = [each["problems"] for each in first["modules"] if each["outcome"] == "REFUSED"]
    assert [e["problems"] for e in second["modules"] if e["outcome"] == "REFUSED"] == refused

    repository.commit({"bad": None})
    assert outcomes(await catalog.sync(url)) == {"web": ("UNCHANGED", 1)}
    assert host.fetches > fetches


async def test_a_directory_with_terraform_files_that_is_no_module_is_said_to_be_none(
    catalog: Catalog, tmp_path: Path
) -> None:
    files = {
        "docs/a.md": "x",
        "main.tf": MAIN,
        "shared/main.tf.json": "{}",
        "mentions/main.tf": '# variable "credit_cost"\n',
        "broken/main.tf": "{",
        **module("web"),
        "web/inner/main.tf": MAIN,
    }
    report = await catalog.sync(str(Repository.make(tmp_path / "r", files).path))
    assert outcomes(report) == {"web": ("PUBLISHED", 1)}
    assert report["passed_over"] == [".", "broken", "mentions", "shared", "web/inner"]
