"""What the fake keeps, in one SQLite file: objects, keys of calls made before, what to deliver.

A change of several objects and the events that tell of it are one transaction, so a fake that is
killed comes back with all of it or with nothing.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Object = dict[str, Any]

_SCHEMA: Final = """
create table if not exists objects (
    position integer primary key autoincrement, id text unique not null, kind text not null,
    created integer not null, body text not null);
create index if not exists objects_by_kind on objects (kind, position);
create table if not exists calls (
    key text primary key, fingerprint text not null, status integer not null, body text not null);
create table if not exists deliveries (
    number integer primary key autoincrement, event_id text not null, due_at real not null,
    attempts integer not null default 0, status text not null default 'PENDING',
    last_answer text);
"""


@dataclass(frozen=True)
class Delivery:
    """An event that is to be told to the webhook's address; `due_at` is a Unix time."""

    number: int
    event_id: str
    due_at: float
    attempts: int


@dataclass(frozen=True)
class MadeBefore:
    """A call with an idempotency key, as it was answered the first time."""

    fingerprint: str
    status: int
    body: Object


class Store:
    """The fake's memory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes inside together, or none of them."""
        self._database.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def get(self, id_: str) -> Object | None:
        """Return an object, or nothing."""
        row = self._database.execute("select body from objects where id = ?", (id_,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, value: Object) -> Object:
        """Keep an object, new or changed; return it."""
        self._database.execute(
            "insert into objects (id, kind, created, body) values (?, ?, ?, ?)"
            " on conflict (id) do update set body = excluded.body",
            (value["id"], value["object"], value["created"], json.dumps(value)),
        )
        return value

    def newest_first(self, kind: str) -> Iterator[Object]:
        """Give all objects of a kind, the last made first."""
        rows = self._database.execute(
            "select body from objects where kind = ? order by position desc", (kind,)
        ).fetchall()
        for row in rows:
            yield json.loads(row[0])

    def made_before(self, key: str) -> MadeBefore | None:
        """Return what a call with this key was answered, if one was made."""
        row = self._database.execute(
            "select fingerprint, status, body from calls where key = ?", (key,)
        ).fetchone()
        return None if row is None else MadeBefore(row[0], row[1], json.loads(row[2]))

    def keep_call(self, key: str, call: MadeBefore) -> None:
        """Remember how a call was answered."""
        self._database.execute(
            "insert or replace into calls (key, fingerprint, status, body) values (?, ?, ?, ?)",
            (key, call.fingerprint, call.status, json.dumps(call.body)),
        )

    def deliver(self, event_id: str, due_at: float) -> None:
        """Have an event told, no earlier than this Unix time."""
        self._database.execute(
            "insert into deliveries (event_id, due_at) values (?, ?)", (event_id, due_at)
        )

    def due(self, now: float, limit: int) -> list[Delivery]:
        """Return deliveries whose time has come, the earliest first."""
        rows = self._database.execute(
            "select number, event_id, due_at, attempts from deliveries"
            " where status = 'PENDING' and due_at <= ? order by due_at, number limit ?",
            (now, limit),
        ).fetchall()
        return [Delivery(*row) for row in rows]

    def attempted(self, number: int, *, status: str, due_at: float, answer: str) -> None:
        """Keep how a delivery went, and when it is tried again."""
        self._database.execute(
            "update deliveries set attempts = attempts + 1, status = ?, due_at = ?,"
            " last_answer = ? where number = ?",
            (status, due_at, answer, number),
        )

    def release(self, now: float, *, reverse: bool) -> int:
        """Make all that is pending due now, in order or the other way round; return how many."""
        order = "desc" if reverse else "asc"
        rows = self._database.execute(
            f"select number from deliveries where status = 'PENDING' order by number {order}"  # noqa: S608 - one of two words
        ).fetchall()
        for place, (number,) in enumerate(rows):
            self._database.execute(
                "update deliveries set due_at = ? where number = ?",
                (now - 1 + place * 1e-3, number),
            )
        return len(rows)

    def deliveries(self, limit: int) -> list[Mapping[str, Any]]:
        """Return the last deliveries, the newest first."""
        names = ("number", "event_id", "due_at", "attempts", "status", "last_answer")
        rows = self._database.execute(
            f"select {', '.join(names)} from deliveries order by number desc limit ?",  # noqa: S608 - names of ours
            (limit,),
        ).fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]
