"""Where images are built: folders of this machine. A build is incremental, so each has one user at a time: a lock says
whose.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

from tinynas import paths
from tinynas.boards import Board
from tinynas.compiler import Program
from tinynas.deploy.build import Image, build, build_together
from tinynas.errors import InfrastructureError
from tinynas.lock import FileLock


class Workshop(Protocol):
    """Builds a study's images, here or on other machines. Any number of threads."""

    def build(self, board: Board, program: Program) -> Image:
        """As `deploy.build.build`."""

    def build_together(self, board: Board, images: Sequence[Image]) -> tuple[Image, ...]:
        """As `deploy.build.build_together`."""


class Desks:
    """Builds in folders of this machine, one for each thread that builds."""

    def build(self, board: Board, program: Program) -> Image:
        with held_desk() as desk:
            return build(board, program, desk)

    def build_together(self, board: Board, images: Sequence[Image]) -> tuple[Image, ...]:
        with held_desk() as desk:
            return build_together(board, images, desk)


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
