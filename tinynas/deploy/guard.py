"""Run a program, and end it with all that it started when the process that started this one ends. Run as a script.

    python -I -S guard.py PARENT_PID PROGRAM [ARGUMENT ...]

PlatformIO starts SCons, which starts a compiler or a flasher, and none of them ends with its parent. A flasher that
goes on after its tinynas was killed would meet the next one on the same board. This process inherits the locks of
board and folder and holds them until the last of them has gone, in the order that matters: first they end, then the
locks are free. A script of its own, because Python between fork and exec is not safe in a process with threads.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_AWAITED = {signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM}
_POLL_S = 0.01


def main() -> None:
    parent, *command = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # Processes whose parent has gone become children of this one, so that their end can be waited for.
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Other systems have no such signal, and even on Linux the parent may have ended before it was asked for.
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    if os.getppid() != int(parent):
        sys.exit("the parent process has ended")
    child = os.posix_spawn(command[0], command, os.environ, setpgroup=0, setsigmask=())
    while True:
        caught = signal.sigwait(_AWAITED)
        if caught == signal.SIGTERM or os.getppid() != int(parent):
            _end(child)
            sys.exit("ended")
        while (ended := _reap(-1)) is not None:
            if ended[0] == child:
                # As a shell says it: 128 and the signal.
                code = os.waitstatus_to_exitcode(ended[1])
                sys.exit(code if code >= 0 else 128 - code)


def _end(group: int) -> None:
    """Kill the process group and wait until nobody is left in it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(group, signal.SIGKILL)
            if _reap(-group) is None:
                time.sleep(_POLL_S)


def _reap(whom: int) -> tuple[int, int] | None:
    """Process id and wait status of a child that has ended, as `os.waitpid` takes `whom`; None when there is none."""
    try:
        pid, status = os.waitpid(whom, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


if __name__ == "__main__":
    main()
