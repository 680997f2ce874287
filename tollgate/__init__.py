"""The command `tollgate`: everything that people and containers start."""

from typing import Final

VERSION: Final = "0.1.0"
