"""Users that builds run as: each one's for one build at a time, whoever runs builds here too.

A name that only one process on this machine can have at a time stands for each user. Who has it
may run something as that user, and may kill all that runs as it; nobody else may.
"""

import socket
from collections.abc import Set as AbstractSet
from typing import Final

from services.deployer.runner.processes import users_of_processes

USERS_MAX: Final = 300
"""How many users builds may run as, from the first one on."""


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
        reservation.bind(f"\0tollgate-build-user-{uid}")
    except OSError:
        reservation.close()
        return None
    return reservation
