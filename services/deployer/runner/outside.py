"""`python -I -S outside.py CHILD`: stands outside of a room for its first process, see namespaces.

It is a program of its own, and knows nothing: what a runner knows is not in its memory. SIGINT,
which the kernel sends too when the runner dies, is handed on; it ends in the way that the room's
first process does. Both signals are blocked when it starts, so that none is missed.
"""

import os
import signal
import sys


def main() -> int:
    """Wait for the child; return its exit status, or die of the signal that it died of."""
    child = int(sys.argv[1])
    while True:
        number = signal.sigwait({signal.SIGINT, signal.SIGCHLD})
        if number == signal.SIGINT:
            os.kill(child, signal.SIGINT)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.kill(os.getpid(), os.WTERMSIG(status))
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
