"""Contracts are pure: their tests talk to nobody, as unit tests do not."""

from tests.unit.conftest import no_network

__all__ = ["no_network"]
