"""Become another program that cannot outlive the process that started this one. Run as a script, by path.

    python -I -S leash.py PARENT_PID PROGRAM [ARGUMENT ...]

An emulated board must not run on when its host was killed with -9, which leaves no time to clean up. A script of its
own, and no `preexec_fn`: Python between fork and exec is not safe in a process with threads, and this one uses no
more than the standard library, so that it starts in 10 ms.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the request above.
    if os.getppid() != int(parent):
        sys.exit("the parent process has ended")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
