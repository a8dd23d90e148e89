"""A board's lease: one process at a time, and a number that tells its results from those of another one."""

import contextlib
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tinynas.errors import BenchError, LeaseLostError
from tinynas.lock import FileLock

_RENEW_S = 5.0
# A process that has not renewed its lease for so long was stopped, or hangs. Renewing takes no more than a thread.
STALE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Holder:
    """What the lock file says: the lease's epoch, the process that took it and when [s since 1970]."""

    epoch: int
    pid: int
    since: float


class Lease:
    """The `flock` on the file at `path` that stands for board `name`. Every time it is taken its `epoch` is one more.

    The kernel ends a lease with its process, and with the flasher that inherited `descriptor`. A process that is
    stopped keeps it; once it has not renewed the lease for STALE_S seconds by the clock of whoever waits, the file is
    replaced and the board goes to that one. What the stopped process delivers when it continues has an old epoch.
    """

    def __init__(self, path: Path, name: str, *, stale_s: float = STALE_S) -> None:
        self.path = path
        self.name = name
        self._stale_s = stale_s
        self._lock: FileLock | None = None
        self._taken: Holder | None = None
        self._ended = threading.Event()
        self._renewal = threading.Thread()
        # The file as it was when another process was first seen to hold it, and when that was.
        self._watched: tuple[tuple[int, int], float] | None = None

    @property
    def descriptor(self) -> int:
        """For the flasher to inherit. Raises ValueError while the lease is not held."""
        if self._lock is None:
            raise ValueError(f"board {self.name} is not leased")
        return self._lock.descriptor

    @property
    def epoch(self) -> int:
        """The number of this lease.

        Raises:
            LeaseLostError: it was not taken, or another process has the board now.
        """
        held, current = self._taken, self.holder()
        if held is None or current is None or current.epoch != held.epoch:
            now = f"process {current.pid} holds lease {current.epoch}" if current else "nobody holds it"
            raise LeaseLostError(
                f"board {self.name}: lease {held.epoch if held else 'none'} has ended, {now}: its results are refused"
            )
        return held.epoch

    def holder(self) -> Holder | None:
        """Who took the board last; it may have ended since. None: nobody, or the file cannot be understood."""
        try:
            record = json.loads(self.path.read_bytes())
            return Holder(epoch=int(record["epoch"]), pid=int(record["pid"]), since=float(record["since"]))
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            return None

    def in_use(self) -> bool:
        """Whether a process holds the board, this one included. Raises BenchError as `acquire`."""
        try:
            with FileLock(self.path) as lock:
                return not lock.acquire()
        except OSError as error:
            raise BenchError(f"board lock {self.path} cannot be written: {error}") from error

    def acquire(self) -> bool:
        """Take the board if it is free, or if its holder has been silent for too long; never waits.

        Raises:
            BenchError: the lock file cannot be written.
        """
        if self._lock is not None:
            return False
        try:
            # One at a time, so that no two processes take the place of a silent one.
            with FileLock(self._beside("turn")) as turn:
                return turn.acquire() and self._take()
        except OSError as error:
            raise BenchError(f"board lock {self.path} cannot be written: {error}") from error

    def release(self) -> None:
        """Give the board back."""
        if self._lock is not None:
            self._ended.set()
            self._renewal.join()
            self._lock.release()
            self._lock = self._taken = None

    def _take(self) -> bool:
        last = self.holder()
        taken = Holder(epoch=last.epoch + 1 if last else 1, pid=os.getpid(), since=time.time())
        lock = FileLock(self.path)
        replaces = False
        if not lock.acquire():
            if not self._is_stale():
                return False
            # A new file takes the place of the one that the silent process has locked.
            lock, replaces = FileLock(self._beside("draft")), True
            if not lock.acquire():
                return False
        try:
            os.ftruncate(lock.descriptor, 0)
            os.pwrite(lock.descriptor, json.dumps(asdict(taken)).encode(), 0)
            if replaces:
                lock.path.replace(self.path)
        except OSError:
            lock.release()
            raise
        self._lock, self._taken, self._watched = lock, taken, None
        self._ended = threading.Event()
        self._renewal = threading.Thread(target=_renew, args=(lock.descriptor, self._ended), daemon=True)
        self._renewal.start()
        return True

    def _is_stale(self) -> bool:
        """Whether the holder lives and is silent. After its end its flasher has the lock, which will end, too."""
        status = self.path.stat()
        seen, now = (status.st_ino, status.st_mtime_ns), time.monotonic()
        if self._watched is None or self._watched[0] != seen:
            self._watched = seen, now
        holder = self.holder()
        return now - self._watched[1] > self._stale_s and holder is not None and _lives(holder.pid)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's.
        return True
    return True


def _renew(descriptor: int, ended: threading.Event) -> None:
    """Touch the locked file, whatever its name is by now, until the lease ends."""
    while not ended.wait(_RENEW_S):
        with contextlib.suppress(OSError):
            os.utime(descriptor)
