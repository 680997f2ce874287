"""Forgets what was queued long ago: how long deliveries can be sent again is bounded.

What an endpoint that is enabled still waits for is kept. What a disabled one waits for is not:
once it is enabled, `previous_sequence` tells its owner what it lacks, and the lines themselves are
in statements for good.
"""

from functools import partial
from typing import Final

from contracts.webhook_rules import KEPT_FOR
from runtime.chores import Beat, delete_in_steps, every
from runtime.process import Running

EVERY_SECONDS: Final = 600.0
ROWS_MAX: Final = 2_000
"""Rows that one statement removes, so that nobody waits long for a lock."""

_FORGET: Final = """
    delete from webhook_deliveries where delivery_id in (
        select d.delivery_id
        from webhook_deliveries as d join webhook_endpoints as e using (webhook_id)
        where d.queued_at < $1 and (d.due_at is null or not e.enabled)
        order by d.queued_at limit $2 for update of d skip locked)"""


async def forget_by_schedule(running: Running) -> None:
    """Forget every ten minutes what is too old, until cancelled."""
    await every(
        EVERY_SECONDS,
        running.liveness,
        "webhook retention",
        partial(forget_old_deliveries, running),
    )


async def forget_old_deliveries(running: Running, beat: Beat) -> int:
    """Forget all that is too old by now, in small steps; return how many rows that were."""
    before = running.clock.now() - KEPT_FOR
    return await delete_in_steps(running.pool, _FORGET, before, ROWS_MAX, beat)
