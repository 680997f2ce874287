"""The ledger as an origin of segments: all of its streams, with columns for replays."""

from typing import Final

from runtime.segments.origin import Origin, TypedColumns
from services.ledger import columns

ORIGIN: Final = Origin(
    "ledger", columns=TypedColumns(columns.VERSION, columns.SCHEMA, columns.typed_columns)
)
