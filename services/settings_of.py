"""Which settings a service has, by its name."""

import importlib

from runtime.settings import RuntimeSettings


def settings_class(service: str) -> type[RuntimeSettings]:
    """Return the class of a service's settings."""
    module = importlib.import_module(f"services.{service}.settings")
    found: type[RuntimeSettings] = getattr(module, f"{service.capitalize()}Settings")
    return found


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return f"TOLLGATE_{field.upper()}"


def variables(service: str) -> tuple[str, ...]:
    """Return the environment variables that a service reads, without their `…_FILE` forms."""
    return tuple(variable(field) for field in settings_class(service).model_fields)
