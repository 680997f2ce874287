"""Folders for tests that run things as another user."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """Give a folder that every user can pass through; pytest's own ones are for one user only."""
    with tempfile.TemporaryDirectory(prefix="tollgate-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder
