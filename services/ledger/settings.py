"""What the ledger is told from outside."""

from runtime.settings import RuntimeSettings


class LedgerSettings(RuntimeSettings):
    """The ledger's settings: those that every service has."""
