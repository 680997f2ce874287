"""What revenue is told from outside: nothing yet beyond what every service is."""

from runtime.settings import RuntimeSettings


class RevenueSettings(RuntimeSettings):
    """Revenue's settings."""
