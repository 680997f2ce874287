"""`tollgate service NAME`: one service in the foreground; what containers run."""

import importlib
import sys

from pydantic import ValidationError

from contracts.registry import SERVICES
from runtime.process import StartError, run
from services.settings_of import settings_class, variable
from services.wiring import WIRING


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
    try:
        service = main.build(settings)
    except StartError as error:
        sys.stderr.write(f"{name} cannot start: {error}\n")
        return 2
    return run(service, settings, WIRING)


def describe(error: ValidationError) -> str:
    """Return one line for each variable that is wrong, without any value."""
    return "\n".join(
        f"  {variable(str(detail['loc'][0])) if detail['loc'] else 'settings'}: {detail['msg']}"
        for detail in error.errors(include_input=False, include_url=False)
    )
