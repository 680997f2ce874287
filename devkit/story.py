"""`make demo`: the main job told on a terminal, on a real system in a folder of its own.

Everything that is shown is what the system really answered. The exit status is 1 where a step does
not go as told.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import aiohttp
from rich.console import Console
from rich.markup import escape

from devkit.data_directory import read_json
from devkit.demo_repository import EXAMPLES, DemoRepositoryError, make_repository
from devkit.story_guest import WAIT_SECONDS_MAX, Guest, StepFailedError
from devkit.story_stage import Stage, eventually, running_system, tollgate

ENDED: Final = frozenset({"SUCCESS", "FAILED", "CANCELLED", "TIMED_OUT"})
BROKEN_MODULE: Final = """\
name: half-finished
title: Half-finished
description: What a repository looks like in the middle of somebody's work.
credit_cost: -5
"""
WEBSITE: Final = {"domain": "www.example.org", "region": "europe-north1"}
PRICE_MINOR: Final = 10_000
REVENUE_MINOR: Final = 2_000


async def tell(stage: Stage) -> None:
    """Tell the main job."""
    await _publish(stage)
    await _fund(stage)
    deployment_id = await _deploy(stage)
    await _earn(stage, deployment_id)
    await _refuse(stage)
    await _prove(stage)


async def _publish(stage: Stage) -> None:
    stage.chapter("1  The platform's modules come from a Git repository")
    repository = await asyncio.to_thread(_repository, stage.data_dir.parent)
    settings = {"platform_repository": {"url": repository, "branch": "main"}}
    await stage.admin.signs_in()
    await stage.admin.patches("/api/settings", settings)
    sync_id = (await stage.admin.posts("/api/syncs", {"scope": "platform"}, status=202))["id"]
    report = await stage.admin.until(f"/api/syncs/{sync_id}", ended=frozenset({"DONE", "FAILED"}))
    rows = [
        (
            m["name"],
            m["outcome"],
            *(f"{p['file']}:{p['line']} {p['message']}" for p in m["problems"]),
        )
        for m in report["modules"]
    ]
    stage.table("module", "outcome", "problem", rows=rows)
    outcomes = {row[0]: row[1] for row in rows}
    stage.claim(
        "one broken module blocks no other",
        found=(outcomes.pop("half-finished"), set(outcomes.values())),
        expected=("REFUSED", {"PUBLISHED"}),
    )


async def _fund(stage: Stage) -> None:
    stage.chapter("2  A user comes, is given 30 credits, and buys 100 for 100.00 USD")
    for guest in (stage.user, stage.finance):
        await guest.signs_up()
    await stage.admin.patches(f"/api/users/{stage.finance.id}", {"roles": ["user", "finance"]})
    award = {"user_id": stage.user.id, "credits": 30, "reason": "welcome"}
    await stage.admin.posts("/api/credits/awards", award)
    price = {"amount_minor": PRICE_MINOR, "currency": "USD"}
    purchase = {"user_id": stage.user.id, "credits": 100, "price": price, "reference": "INV-1"}
    await stage.finance.posts("/api/credits/purchases", purchase)
    await _show_balance(stage, awarded=30, purchased=100, held=0)


async def _deploy(stage: Stage) -> str:
    stage.chapter("3  They deploy a website, and Terraform really runs")
    cards = (await stage.user.gets("/api/modules"))["items"]
    stage.table(
        *("module", "credits", "title"),
        rows=[(card["name"], card["credit_cost"], card["title"]) for card in cards],
    )
    module_id = next(card["id"] for card in cards if card["name"] == "static-website")
    request = {"module_id": module_id, "variables": WEBSITE}
    quote = await stage.user.posts("/api/quotes", request, status=200)
    stage.claim(
        "the quote: 50 credits, 30 of them awarded and 20 purchased",
        found=(quote["cost"], quote["awarded_part"], quote["purchased_part"]),
        expected=(50, 30, 20),
    )
    accepted = await stage.user.posts("/api/deployments", request | {"project": "intranet"})
    stage.claim("it waits, and its credits are held", found=accepted["status"], expected="QUEUED")
    path = f"/api/deployments/{accepted['id']}"
    async with stage.user.listening(f"{path}/logs") as log:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await _show_lines(stage.console, log)
    done = await stage.user.until(path, ended=ENDED)
    stage.claim("it ends well", found=done["status"], expected="SUCCESS")
    outputs = done["outputs"].items()
    rows = [(n, "(sensitive)" if o["sensitive"] else o["value"]) for n, o in outputs]
    stage.table("output", "value", rows=rows)
    return str(accepted["id"])


async def _earn(stage: Stage, deployment_id: str) -> None:
    stage.chapter("4  What was held is spent; only what was paid for is revenue")
    await _show_balance(stage, awarded=0, purchased=80, held=0)
    history = (await stage.user.gets("/api/credits/history"))["items"]
    stage.table(
        *("movement", "credits", "awarded", "purchased", "balance after"),
        rows=[
            (
                *(e["type"], e["credits"]),
                *(e["awarded_delta"], e["purchased_delta"], e["balance_after"]),
            )
            for e in history
        ],
    )
    line = await eventually(
        f"revenue of deployment {deployment_id}",
        lambda: _line_of(stage.finance, deployment_id),
    )
    stage.claim(
        "its 20 purchased credits earned 20.00 USD",
        found=line["true_revenue"],
        expected={"amount_minor": REVENUE_MINOR, "currency": "USD"},
    )


async def _refuse(stage: Stage) -> None:
    stage.chapter("5  What cannot be paid, or is not right, is refused")
    cards = {card["name"]: card["id"] for card in (await stage.user.gets("/api/modules"))["items"]}
    cluster = {"module_id": cards["kubernetes-cluster"], "variables": {}}
    dear = await stage.user.posts("/api/deployments", cluster, status=402)
    stage.claim(
        "a cluster costs 120 credits and 80 are there",
        found=(dear["code"], dear["required"], dear["available"]),
        expected=("INSUFFICIENT_TOTAL_CREDITS", 120, 80),
    )
    wrong = {"module_id": cards["static-website"], "variables": {"domain": "Nowhere"}}
    problem = await stage.user.posts("/api/deployments", wrong, status=422)
    for error in problem["errors"]:
        stage.console.print(f"  {error['pointer']}: {error['message']}", highlight=False)
    fails = {"module_id": cards["vpn-gateway"], "variables": {}}
    failing = await stage.user.posts("/api/deployments", fails)
    done = await stage.user.until(f"/api/deployments/{failing['id']}", ended=ENDED)
    stage.console.print(f"  {done['builds'][0]['error']['message']}", highlight=False)
    stage.claim(
        "the build fails, and gives its credits back", found=done["status"], expected="FAILED"
    )
    await _show_balance(stage, awarded=0, purchased=80, held=0)


async def _prove(stage: Stage) -> None:
    stage.chapter("6  Every figure can be computed again from the ledger alone")
    figures = stage.data_dir.parent / "figures.csv"
    replay = ("replay", "--engine", "exact", "--format", "csv", "--output", str(figures))
    for words in (("ledger", "verify"), replay):
        status, output = await tollgate(*words, "--data-dir", str(stage.data_dir))
        stage.console.print(f"  [bold]$ tollgate {escape(' '.join(words))}[/]", highlight=False)
        stage.console.print(output.rstrip(), highlight=False, markup=False, soft_wrap=True)
        stage.claim(f"tollgate {words[0]} finds no difference", found=status, expected=0)


async def _show_balance(stage: Stage, *, awarded: int, purchased: int, held: int) -> None:
    """Show the user's balance once it is this; what is spent is booked a moment later."""
    expected = {"awarded": awarded, "purchased": purchased, "held": held}

    async def as_expected() -> Any:
        balance = await stage.user.gets("/api/credits/balance")
        return balance if expected.items() <= balance.items() else None

    balance = await eventually(f"a balance of {expected}", as_expected)
    columns = ("awarded", "purchased", "held", "available")
    stage.table(*columns, rows=[tuple(balance[column] for column in columns)])


async def _line_of(finance: Guest, deployment_id: str) -> Any:
    lines = (await finance.gets("/api/revenue/modules"))["items"]
    return next((line for line in lines if line["deployment_id"] == deployment_id), None)


async def _show_lines(console: Console, lines: AsyncIterator[str]) -> None:
    async for line in lines:
        console.print(f"    {line}", style="dim", highlight=False, markup=False, soft_wrap=True)


def _repository(folder: Path) -> str:
    """Return the address of a repository with the examples, and one that is not finished."""
    source = folder / "modules"
    shutil.copytree(EXAMPLES, source)
    (source / "half-finished").mkdir()
    (source / "half-finished" / "module.yaml").write_text(BROKEN_MODULE)
    (source / "half-finished" / "main.tf").touch()
    make_repository(folder / "repository", source)
    return (folder / "repository").as_uri()


async def _run(console: Console, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        data_dir = await stack.enter_async_context(running_system(console, folder))
        url = read_json(data_dir / "endpoints.json")["gateway"]
        guests = [Guest(console, url, name) for name in ("Ada", "Fiona", "Ursula")]
        for guest in guests:
            stack.push_async_callback(guest.close)
        admin, finance, user = guests
        status, output = await tollgate(
            *("user", "create", "--email", admin.email, "--role", "admin", "--password-stdin"),
            *("--data-dir", str(data_dir)),
            stdin=admin.password,
        )
        if status != 0:
            raise StepFailedError(f"the first administrator cannot be made: {output}")
        await tell(Stage(console, data_dir, admin, finance, user))


def main() -> int:
    """Tell the story; return 0 where all of it went as told."""
    console = Console()
    console.rule("[bold]Tollgate: infrastructure, sold by the credit", align="left")
    with tempfile.TemporaryDirectory(prefix="tollgate-story-") as folder:
        Path(folder).chmod(0o711)
        try:
            asyncio.run(_run(console, Path(folder)))
        except (StepFailedError, DemoRepositoryError, TimeoutError, aiohttp.ClientError) as error:
            said = escape(str(error) or type(error).__name__)
            console.print(f"[red]✗ {said}[/]", highlight=False)
            return 1
        except KeyboardInterrupt:
            return 130
    console.print("\n[bold green]All of it went as told.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
