"""Build folders. A build is incremental, so each has one user at a time: a lock says whose."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tinynas import paths
from tinynas.errors import InfrastructureError


@contextmanager
def held_desk() -> Iterator[Path]:
    """The first build folder that no other process or thread uses, locked until the end of the block.

    Raises:
        InfrastructureError: the folder cannot be written.
    """
    root = paths.home() / "build"
    try:
        root.mkdir(parents=True, exist_ok=True)
        number, lock = _lock_free_one(root)
    except OSError as error:
        raise InfrastructureError(f"build folder {root} cannot be written: {error.strerror}") from error
    with lock:
        yield root / f"desk-{number}"


def _lock_free_one(root: Path) -> tuple[int, IO[str]]:
    number = 0
    while True:
        lock = (root / f"desk-{number}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
        else:
            return number, lock
