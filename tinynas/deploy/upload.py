"""Writing an image to a board's flash, by PlatformIO."""

import time
from pathlib import Path

from tinynas.boards import Board
from tinynas.deploy.build import FETCH_S, Image
from tinynas.deploy.platformio import run_platformio
from tinynas.deploy.stage import held_project, stage, write_changed
from tinynas.errors import FlashError, InfrastructureError

ATTEMPTS = 3
TIMEOUT_S = 60.0
# A board that was just unplugged, or whose debugger hangs, needs a moment; each pause is this many times the last.
_PAUSE_S = 1.0
_PAUSE_GROWTH = 4.0


def upload(
    image: Image,
    board: Board,
    port: str,
    workdir: Path,
    *,
    lease: int,
    attempts: int = ATTEMPTS,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Write `image` to the board on `port`: for an emulated board, the file that its emulator boots from. A vendor's
    platform builds the image in a folder of its own before its uploader flashes it.

    `workdir` belongs to this board alone; `lease` is the descriptor that keeps the board ours, for the flasher to hold.
    An attempt may take `timeout_s`.

    Raises:
        FlashError: all attempts failed; the message has the last one's words.
        ToolchainError: PlatformIO's SCons is missing.
        InfrastructureError: the folder cannot be written.
    """
    targets = ("-t", "upload") if board.vendor else ("-t", "nobuild", "-t", "upload")
    arguments = ("--silent", *targets, "--upload-port", port)
    with held_project(workdir / "upload", lease) as project:
        if board.vendor is not None:
            # The vendor's uploader takes what its own platform has built, in the same folder.
            stage(board, image.sources, project, optimize=image.optimize)
            built = run_platformio(project, "--silent", timeout_s=FETCH_S)
            if not built.succeeded:
                raise FlashError(f"board {board.name}: PlatformIO could not build the image again: {built.tail()}")
        else:
            stage(board, {}, project)
            _place(image.binary, project.folder)
        for attempt in range(attempts):
            if attempt:
                time.sleep(_PAUSE_S * _PAUSE_GROWTH ** (attempt - 1))
            outcome = run_platformio(project, *arguments, timeout_s=timeout_s)
            if outcome.succeeded:
                return
    raise FlashError(f"board {board.name} on {port} could not be flashed in {attempts} attempts: {outcome.tail()}")


def _place(binary: bytes, folder: Path) -> None:
    try:
        write_changed(folder / "firmware.bin", binary)
    except OSError as error:
        raise InfrastructureError(f"folder {folder} cannot be written: {error.strerror}") from error
