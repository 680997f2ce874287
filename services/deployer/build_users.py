"""Users that builds run as: each one's for one build at a time, whoever runs builds here too.

A name that only one process on this machine can have at a time stands for each user. Who has it
may run something as that user, and may kill all that runs as it; nobody else may.
"""

import socket
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final

import psutil

from services.deployer.runner.processes import users_of_processes

USERS_MAX: Final = 300
"""How many users builds may run as, from the first one on."""

_NAME: Final = "tollgate-build-user-"


def reserve_free(first: int, taken: AbstractSet[int] = frozenset()) -> tuple[int, socket.socket]:
    """Return a user that nobody has, and what keeps it so for as long as it is open anywhere.

    `taken` are not asked for, nor are users whom any process runs as. `OSError` where none is left.
    """
    taken = taken | users_of_processes()
    for uid in range(first, first + USERS_MAX):
        if uid not in taken and (reservation := reserve(uid)) is not None:
            return uid, reservation
    raise OSError("every user that builds may run as is taken")


def reserve(uid: int) -> socket.socket | None:
    """Return what reserves a user while it is open, nothing where somebody has it."""
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0{_NAME}{uid}")
    except OSError:
        reservation.close()
        return None
    return reservation


def reserves_itself(uid: int) -> bool:
    """Return whether only what runs as a user has reserved it, so that nobody would kill that.

    Whoever reserves by right is a deployer or a runner, and neither runs as a build's user.
    """
    holders: set[int] = set()
    for each in psutil.net_connections(kind="unix"):
        if str(each.laddr) == f"@{_NAME}{uid}" and each.pid is not None:
            with suppress(psutil.Error):
                holders.add(psutil.Process(each.pid).uids().real)
    return holders == {uid}
