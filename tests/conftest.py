"""What all tests share: the fixtures of real servers, and how Hypothesis searches."""

import structlog
from hypothesis import HealthCheck, settings

# A traceback drawn with all local variables, as structlog does unless told, costs seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

pytest_plugins = ["tests.support.environment"]

# A busy machine is no bug: how long an example takes is for `make bench`.
settings.register_profile("tollgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tollgate")
