"""Writing an image to a board's flash, by PlatformIO."""

from pathlib import Path

from tinynas.boards import Board
from tinynas.deploy.build import Image
from tinynas.deploy.platformio import run_platformio
from tinynas.deploy.stage import held_project, stage, write_changed
from tinynas.errors import FlashError, InfrastructureError

_ATTEMPTS = 3
_TIMEOUT_S = 60.0


def upload(image: Image, board: Board, port: str, workdir: Path, *, lease: int) -> None:
    """Write `image` to the board on `port`: for an emulated board, the file that its emulator boots from.

    `workdir` belongs to this board alone; `lease` is the descriptor that keeps the board ours, for the flasher to hold.

    Raises:
        FlashError: three attempts failed; the message has the last one's words.
        ToolchainError: PlatformIO's SCons is missing.
        InfrastructureError: the folder cannot be written.
    """
    arguments = ["--silent", "-t", "nobuild", "-t", "upload", "--upload-port", port]
    with held_project(workdir / "upload", lease) as project:
        stage(board, {}, project)
        try:
            write_changed(project.folder / "firmware.bin", image.binary)
        except OSError as error:
            raise InfrastructureError(f"folder {project.folder} cannot be written: {error.strerror}") from error
        for _ in range(_ATTEMPTS):
            outcome = run_platformio(project, *arguments, timeout_s=_TIMEOUT_S)
            if outcome.succeeded:
                return
    raise FlashError(f"board {board.name} on {port} could not be flashed in {_ATTEMPTS} attempts: {outcome.tail()}")
