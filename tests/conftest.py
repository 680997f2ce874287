"""What all tests share: the fixtures of real servers, and how Hypothesis searches."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.environment"]

# A busy machine is no bug: how long an example takes is for `make bench`.
settings.register_profile("tollgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tollgate")
