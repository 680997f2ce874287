"""Programs that some tests need, and what becomes of these tests where one is not installed."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def lacking(tool: str, why: str) -> NoReturn:
    """Skip the test for lack of a tool; fail it where `TOLLGATE_REQUIRE` names the tool, or `all`.

    So a developer's machine may lack it, and CI may not.
    """
    required = {name.strip() for name in os.environ.get("TOLLGATE_REQUIRE", "").split(",")}
    if tool in required or "all" in required:
        pytest.fail(f"TOLLGATE_REQUIRE asks for {tool}: {why}", pytrace=False)
    pytest.skip(f"needs {tool}: {why}")


def program(tool: str, executable: str | None = None) -> str:
    """Return the path of a program, of this Python environment or of the machine."""
    name = executable or tool
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    if found is None:
        lacking(tool, f"there is no {name} on the PATH")
    return found
