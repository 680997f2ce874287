"""What revenue has done by a process of its own: `python -m services.revenue.sealing …`.

`seal` seals what is not sealed yet; `examine 2026-11` looks at all that is stored, and says what
there is to say of a month that shall be closed.
"""

import sys

from runtime.segments.program import Work, sealed_by, work_as_told
from services.revenue.examination import examine
from services.revenue.months import Examined
from services.revenue.sealing.origin import ORIGIN
from services.revenue.settings import RevenueSettings


def main() -> int:
    """Do what the words say, and return the exit status."""
    works: dict[str, Work] = {"seal": sealed_by(ORIGIN, RevenueSettings), "examine": _examine}
    return work_as_told(works)


async def _examine(period: str) -> Examined:
    return await examine(RevenueSettings().postgres_dsn.get_secret_value(), period)


if __name__ == "__main__":
    sys.exit(main())
