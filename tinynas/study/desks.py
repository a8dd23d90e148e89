"""Build folders. A build is incremental, so each has one user at a time: a lock says whose."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tinynas import paths
from tinynas.errors import InfrastructureError
from tinynas.lock import FileLock


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


def _lock_free_one(root: Path) -> tuple[int, FileLock]:
    locks = ((number, FileLock(root / f"desk-{number}.lock")) for number in count())
    return next((number, lock) for number, lock in locks if lock.acquire())
