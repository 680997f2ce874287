"""Which modules each user has pinned."""

from collections.abc import Iterator

from runtime.projector import Change
from runtime.store import Recorded
from services.gateway.events import ModulePinned, ModuleUnpinned
from services.gateway.projections.statements import SqlProjection, Statement, id_in

_PINNED = """
    insert into pins (user_id, module_id, pinned_at) values ($1, $2, $3)
    on conflict (user_id, module_id) do nothing"""
_UNPINNED = "delete from pins where user_id = $1 and module_id = $2"


def _statements(change: Change) -> Iterator[Statement]:
    if not isinstance(change, Recorded):
        return
    match change.fact:
        case ModulePinned(module_id=module_id):
            yield _PINNED, (id_in(change.stream), module_id, change.at)
        case ModuleUnpinned(module_id=module_id):
            yield _UNPINNED, (id_in(change.stream), module_id)
        case _:
            return


PINS = SqlProjection("pins", _statements, tables=("pins",))
