"""A replay's figures as a table for people, or as CSV, JSON or Parquet for programs.

Money is in minor units; credits are whole. Balances stand in it where the groups are users. The
group of what belongs to nobody (a module of the platform has no partner) has no name.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from services.ledger.checking.totals import Group, GroupBy
from services.ledger.replay import ReplayResult

Format = Literal["table", "csv", "json", "parquet"]

_BALANCE: Final = ("awarded", "purchased", "awarded_held", "purchased_held")
_SPENDING: Final = (
    "settlements",
    "credits_spent",
    "awarded_spent",
    "purchased_spent",
    "true_revenue_minor",
    "partner_share_minor",
    "agent_share_minor",
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
        f"facts: {result.chain.events}",
        f"wallets: {result.totals.wallets}",
        f"settlements: {settlements}",
    ]
    if result.chain.first_bad is not None:
        bad = result.chain.first_bad
        lines.append(f"the chain is broken at {bad.stream} {bad.version}: {bad.problem}")
    lines += [
        f"{found.where} {found.key}: the facts say {found.from_facts}, live is {found.live}"
        for found in result.differences.kept[:DIFFERENCES_SHOWN]
    ]
    hidden = result.differences.count - DIFFERENCES_SHOWN
    if hidden > 0:
        lines.append(f"and {hidden} more differences")
    names = " and ".join(result.compared)
    lines.append(f"agrees with {names}" if result.ok else f"does not agree with {names}")
    return "\n".join(lines)


def columns(group_by: GroupBy) -> tuple[str, ...]:
    """Return the columns' names, the group's first."""
    return (group_by, *(_BALANCE if group_by == "user" else ()), *_SPENDING)


def rows(result: ReplayResult) -> list[tuple[Any, ...]]:
    """Return a row for each group, by name, the one without a name last."""
    groups = sorted(result.totals.groups.items(), key=lambda item: (item[0] is None, item[0] or ""))
    return [_row(result.totals.group_by, key, group) for key, group in groups]


def _row(group_by: GroupBy, key: str | None, group: Group) -> tuple[Any, ...]:
    balance = (group.awarded, group.purchased, group.awarded_held, group.purchased_held)
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
    head = columns(result.totals.group_by)
    body = [*rows(result), _row(result.totals.group_by, TOTAL, result.totals.total)]
    cells = [head, *([NOBODY if c is None else str(c) for c in row] for row in body)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [_line(row, widths) for row in cells]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], ""]).encode()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others])


def _csv(result: ReplayResult) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns(result.totals.group_by))
    for key, *figures in rows(result):
        writer.writerow([_text_cell(key), *figures])
    return text.getvalue().encode()


def _text_cell(text: str | None) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _json(result: ReplayResult) -> bytes:
    names = columns(result.totals.group_by)
    bad = result.chain.first_bad
    document = {
        "as_of": result.as_of and result.as_of.isoformat().replace("+00:00", "Z"),
        "engine": result.engine,
        "group_by": result.totals.group_by,
        "events": result.chain.events,
        "wallets": result.totals.wallets,
        "head": result.chain.head,
        "first_bad": bad and vars(bad),
        "compared": list(result.compared),
        "ok": result.ok,
        "difference_count": result.differences.count,
        "differences": [vars(difference) for difference in result.differences.kept],
        "total": dict(
            zip(names[1:], _row(result.totals.group_by, None, result.totals.total)[1:], strict=True)
        ),
        "rows": [dict(zip(names, row, strict=True)) for row in rows(result)],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _parquet(result: ReplayResult) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = columns(result.totals.group_by)
    schema = pa.schema([(names[0], pa.string()), *((name, pa.int64()) for name in names[1:])])
    figures = list(zip(*rows(result), strict=True)) or [()] * len(names)
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(figures, schema, strict=True)],
        schema=schema,
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
