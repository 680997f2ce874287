"""`python -I -S outside.py CHILD`: stands between a runner and what it runs, see namespaces.

It is a program of its own, and knows nothing: what a runner knows is not in its memory. The first
SIGINT is handed on, and no other: the kernel sends one for each thread of a runner that dies, and
to Terraform a second one means to leave without a word. It ends in the way that its child does.
Both signals are blocked when it starts, so that none is missed.
"""

import os
import signal
import sys


def main() -> int:
    """Wait for the child; return its exit status, or die of the signal that it died of."""
    child, interrupted = int(sys.argv[1]), False
    while True:
        number = signal.sigwait({signal.SIGINT, signal.SIGCHLD})
        if number == signal.SIGINT:
            if not interrupted:
                os.kill(child, signal.SIGINT)
            interrupted = True
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    if os.WTERMSIG(status) != signal.SIGKILL:
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.kill(os.getpid(), os.WTERMSIG(status))
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
