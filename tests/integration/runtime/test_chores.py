"""What is over is deleted in steps, and each step is heard of."""

import asyncpg

from runtime.chores import delete_in_steps
from runtime.clock import system_clock
from tests.integration.runtime.conftest import CounterDatabase

ROWS = 25
STEP = 10
_OVER = "delete from over where n in (select n from over where at < $1 limit $2)"


async def test_who_deletes_much_is_heard_of_at_every_step(real_database: CounterDatabase) -> None:
    beats: list[int] = []
    async with asyncpg.create_pool(real_database.admin_dsn, min_size=1, max_size=1) as pool:
        await pool.execute(
            """create table over as
               select n, now() - interval '1 day' as at from generate_series(1, $1::int) n""",
            ROWS,
        )
        await pool.execute("insert into over values (0, now() + interval '1 day')")

        deleted = await delete_in_steps(
            pool, _OVER, system_clock.now(), STEP, lambda: beats.append(1)
        )

        assert deleted == ROWS
        assert await pool.fetchval("select array_agg(n) from over") == [0]
    assert len(beats) == ROWS // STEP + 1
