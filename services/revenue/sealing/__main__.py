"""Seals by a process of its own: `python -m services.revenue.sealing seal`."""

import sys

from runtime.segments.program import sealed_by, work_as_told
from services.revenue.sealing.origin import ORIGIN
from services.revenue.settings import RevenueSettings

if __name__ == "__main__":
    sys.exit(work_as_told({"seal": sealed_by(ORIGIN, RevenueSettings)}))
