"""Which process of a system used how much processor time: what `/proc` says of it."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Final

TOLD_MAX: Final = 6
_TICK_MS: Final = 1000 / os.sysconf("SC_CLK_TCK")
_BACKEND: Final = re.compile(r"postgres: (?:\S+: )?(?:tollgate_)?([a-z]+)")
_SERVICE: Final = re.compile(r"-m tollgate service ([a-z]+)")


def processor_ms(pid: int) -> Counter[str]:
    """Return how many milliseconds a process and its descendants have used so far, by their names.

    A server of Postgres is called after the service that it serves.
    """
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdecimal():
            continue
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(place.name))
        used[int(place.name)] = (int(fields[11]) + int(fields[12])) * _TICK_MS
    found: Counter[str] = Counter()
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, ())
        found[_name(one)] += round(used.get(one, 0.0))
    return found


def told_per(used: Counter[str], requests: int) -> str:
    """Return what each request cost, in words: all of it, and those who used most."""
    most = ", ".join(f"{name} {spent / requests:.1f}" for name, spent in used.most_common(TOLD_MAX))
    return f"{used.total() / requests:.1f} ms ({most})"


def _name(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "ended"
    if service := _SERVICE.search(words):
        return service[1]
    if backend := _BACKEND.match(words):
        return f"postgres ({backend[1]})"
    if " -m tollgate up" in words:
        return "supervisor"
    return words.partition(" ")[0].rpartition("/")[2]
