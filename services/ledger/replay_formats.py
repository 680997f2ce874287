"""A replay's figures as a table for people, or as CSV, JSON or Parquet for programs.

Money is in minor units; credits are whole. Balances stand in it where the groups are users. The
group of what belongs to nobody (a module of the platform has no partner) has no name.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from services.ledger.checking.totals import Group, GroupBy
from services.ledger.replay import ReplayResult

Format = Literal["table", "csv", "json", "parquet"]

_BALANCE: Final = (
    "awarded",
    "purchased",
    "awarded_held",
    "purchased_held",
    "awarded_frozen",
    "purchased_frozen",
    "debt",
)
_SPENDING: Final = (
    "settlements",
    "credits_spent",
    "awarded_spent",
    "purchased_spent",
    "true_revenue_minor",
    "partner_share_minor",
    "agent_share_minor",
)
_PAYEES: Final = (
    "role",
    "payee",
    "true_revenue_minor",
    "share_minor",
    "share_if_minor",
    "gain_minor",
)
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
NOBODY: Final = "—"
TOTAL: Final = "total"
DIFFERENCES_SHOWN: Final = 20


def render(result: ReplayResult, form: Format) -> bytes:
    """Return the figures of a replay in a format."""
    renderers: dict[Format, Callable[[ReplayResult], bytes]] = {
        "table": _table,
        "csv": _csv,
        "json": _json,
        "parquet": _parquet,
    }
    return renderers[form](result)


def summary(result: ReplayResult) -> str:
    """Return what was checked and what differs, in lines for people."""
    settlements = result.totals.total.settlements
    lines = [
        f"facts: {result.events}",
        f"wallets: {result.totals.wallets}",
        f"settlements: {settlements}",
    ]
    if result.chain is not None and result.chain.first_bad is not None:
        bad = result.chain.first_bad
        lines.append(f"the chain is broken at {bad.stream} {bad.version}: {bad.problem}")
    lines += [
        f"{found.where} {found.key}: the facts say {found.from_facts}, live is {found.live}"
        for found in result.differences.kept[:DIFFERENCES_SHOWN]
    ]
    hidden = result.differences.count - DIFFERENCES_SHOWN
    if hidden > 0:
        lines.append(f"and {hidden} more differences")
    if result.since is not None and not result.since.ok:
        lines.append("the replay of the earlier instant does not fit")
    names = " and ".join(result.compared)
    lines.append(f"agrees with {names}" if result.ok else f"does not agree with {names}")
    return "\n".join(lines)


def columns(result: ReplayResult) -> tuple[str, ...]:
    """Return the columns' names, the texts first."""
    if result.what_if is not None:
        return _PAYEES
    group_by = result.totals.group_by
    return (group_by, *(_BALANCE if group_by == "user" else ()), *_SPENDING)


def rows(result: ReplayResult) -> list[tuple[Any, ...]]:
    """Return a row for each group, by name, the one without a name last.

    Where other shares were asked about: one for each payee, first who would gain most. With an
    earlier replay: by how much each row changed since, without those that did not.
    """
    if result.since is None:
        return _rows(result)
    texts = _texts(result)
    before = {row[:texts]: row[texts:] for row in _rows(result.since)}
    after = {row[:texts]: row[texts:] for row in _rows(result)}
    nothing = (0,) * (len(columns(result)) - texts)
    changed = (
        (*key, *_less(after.get(key, nothing), before.get(key, nothing)))
        for key in dict.fromkeys((*after, *before))
    )
    return [row for row in changed if any(row[texts:])]


def _texts(result: ReplayResult) -> int:
    """Return how many columns, the first ones, say what a row stands for."""
    return 1 if result.what_if is None else 2


def _less(after: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    return tuple(now - then for now, then in zip(after, before, strict=True))


def _rows(result: ReplayResult) -> list[tuple[Any, ...]]:
    if result.what_if is not None:
        return list(result.what_if.rows())
    groups = sorted(result.totals.groups.items(), key=lambda item: (item[0] is None, item[0] or ""))
    return [_row(result.totals.group_by, key, group) for key, group in groups]


def _row(group_by: GroupBy, key: str | None, group: Group) -> tuple[Any, ...]:
    balance = tuple(getattr(group, name) for name in _BALANCE)
    return (
        key,
        *(balance if group_by == "user" else ()),
        group.settlements,
        group.credits_spent,
        group.awarded_spent,
        group.purchased_spent,
        group.true_revenue_minor,
        group.partner_share_minor,
        group.agent_share_minor,
    )


def _table(result: ReplayResult) -> bytes:
    head = columns(result)
    body = [*rows(result), _total(result)]
    cells = [head, *([NOBODY if c is None else str(c) for c in row] for row in body)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [_line(row, widths) for row in cells]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], ""]).encode()


def _total(result: ReplayResult) -> tuple[Any, ...]:
    if result.since is None:
        return _total_of(result)
    texts = _texts(result)
    after, before = _total_of(result), _total_of(result.since)
    return (*after[:texts], *_less(after[texts:], before[texts:]))


def _total_of(result: ReplayResult) -> tuple[Any, ...]:
    if result.what_if is None:
        return _row(result.totals.group_by, TOTAL, result.totals.total)
    figures = list(zip(*(row[2:] for row in result.what_if.rows()), strict=True)) or [()] * 4
    return (TOTAL, "", *(sum(column) for column in figures))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others])


def _csv(result: ReplayResult) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns(result))
    for row in rows(result):
        writer.writerow([c if isinstance(c, int) else _text_cell(c) for c in row])
    return text.getvalue().encode()


def _text_cell(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _json(result: ReplayResult) -> bytes:
    names = columns(result)
    group_names = (*(_BALANCE if result.totals.group_by == "user" else ()), *_SPENDING)
    bad = result.chain and result.chain.first_bad
    document = {
        "as_of": result.as_of and _instant(result.as_of),
        "since": result.since and result.since.as_of and _instant(result.since.as_of),
        "engine": result.engine,
        "group_by": result.totals.group_by,
        "events": result.events,
        "wallets": result.totals.wallets,
        "head": result.chain and result.chain.head,
        "first_bad": bad and vars(bad),
        "compared": list(result.compared),
        "ok": result.ok,
        "difference_count": result.differences.count,
        "differences": [vars(difference) for difference in result.differences.kept],
        "total": dict(zip(group_names, _total(replace(result, what_if=None))[1:], strict=True)),
        "rows": [dict(zip(names, row, strict=True)) for row in rows(result)],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _parquet(result: ReplayResult) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = columns(result)
    texts = ("role", "payee", result.totals.group_by)
    schema = pa.schema([(name, pa.string() if name in texts else pa.int64()) for name in names])
    figures = list(zip(*rows(result), strict=True)) or [()] * len(names)
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(figures, schema, strict=True)],
        schema=schema,
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
