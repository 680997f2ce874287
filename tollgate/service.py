"""`tollgate service NAME`: one service in the foreground; what containers run."""

import importlib
import sys
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contracts.registry import SERVICES
from runtime.process import run
from services.wiring import WIRING

if TYPE_CHECKING:
    from runtime.settings import RuntimeSettings


def run_service(name: str) -> int:
    """Run a service until it is told to stop; return the process's exit status."""
    if name not in SERVICES:
        sys.stderr.write(f"there is no service {name!r}; there are {', '.join(SERVICES)}\n")
        return 2
    try:
        settings = settings_class(name)()
    except ValidationError as error:
        sys.stderr.write(f"{name} cannot start: its settings are wrong\n{describe(error)}\n")
        return 2
    main = importlib.import_module(f"services.{name}.main")
    return run(main.build(settings), settings, WIRING)


def settings_class(name: str) -> type["RuntimeSettings"]:
    """Return the class of a service's settings."""
    module = importlib.import_module(f"services.{name}.settings")
    found: type[RuntimeSettings] = getattr(module, f"{name.capitalize()}Settings")
    return found


def describe(error: ValidationError) -> str:
    """Return one line for each variable that is wrong, without any value."""
    return "\n".join(
        f"  {variable(str(detail['loc'][0])) if detail['loc'] else 'settings'}: {detail['msg']}"
        for detail in error.errors(include_input=False, include_url=False)
    )


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return f"TOLLGATE_{field.upper()}"
