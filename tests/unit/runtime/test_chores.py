"""Work that is due every so often."""

import asyncio
from typing import Final

import asyncpg
import pytest

from runtime.chores import Beat, every
from runtime.health import Liveness

SOON: Final = 0.01
BOUND_SECONDS: Final = 10.0


async def done_until(results: list[Exception | None]) -> int:
    """Have a chore done that ends with each of these in turn; return how often it was begun."""
    begun = 0
    done = asyncio.Event()

    async def chore(_: Beat) -> None:
        nonlocal begun
        begun += 1
        if results and (error := results.pop(0)) is not None:
            raise error
        if not results:
            done.set()

    task = asyncio.create_task(every(SOON, Liveness(), "chore", chore))
    waiting = asyncio.create_task(done.wait())
    async with asyncio.timeout(BOUND_SECONDS):
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    task.cancel()
    await asyncio.gather(task, waiting, return_exceptions=True)
    return begun


async def test_a_chore_is_done_at_once_and_again() -> None:
    assert await done_until([None, None, None]) >= 3  # noqa: PLR2004 - as often as asked


@pytest.mark.parametrize(
    "outage", [ConnectionResetError(), TimeoutError(), asyncpg.DeadlockDetectedError()]
)
async def test_what_an_outage_or_another_replica_keeps_from_being_done_is_done_the_next_time(
    outage: Exception,
) -> None:
    assert await done_until([outage, None]) >= 2  # noqa: PLR2004 - and once more


async def test_a_bug_in_a_chore_ends_the_task_and_so_the_process() -> None:
    with pytest.raises(KeyError):
        await done_until([KeyError("bug"), None])
