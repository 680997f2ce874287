"""A service's parts on its own database, in the process of a command."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.settings_of import settings_class
from tollgate.target import use_service

if TYPE_CHECKING:
    from runtime.process import Running


@asynccontextmanager
async def inside_service(name: str, data_dir: Path | None) -> AsyncIterator["Running"]:
    """Give a service as its own process has it, but for the bus."""
    from runtime.process import assemble
    from services.wiring import WIRING

    use_service(name, data_dir)
    settings = settings_class(name)()
    main = importlib.import_module(f"services.{name}.main")
    async with assemble(main.build(settings), settings, WIRING) as running:
        yield running
