"""Export as a PlatformIO project that stands alone: the network, the board, and the platform that builds for it.

The folder keeps the layout of tinynas's own firmware, because the platform finds kernels and port beside itself.
"""

from pathlib import Path

from tinynas import paths
from tinynas.boards import Board
from tinynas.compiler import write_list
from tinynas.errors import InfrastructureError
from tinynas.study.delivery import Delivery, kernels_for, licence, rendered

# What the ports share; cortex_m.c is for that family alone, and goes unused elsewhere.
_PORT_FILES = ("port.h", "stack.h", "start.h", "start.c", "frames.h", "cortex_m.c", "stm32.h")
_ARDUINO_FILES = ("port.h", "stack.h")


def platformio_project(delivery: Delivery, board: Board) -> dict[str, bytes]:
    """All files of the export: path in the folder -> content.

    Raises:
        InfrastructureError: a file of the firmware is missing from this installation.
    """
    if board.toolchain == "avr":
        # Its C compiler puts the vector into RAM.
        delivery = delivery.first_case
    sources = delivery.sources
    return {
        **{f"src/{name}": content for name, content in sources.items()},
        "src/networks.ld": write_list([delivery.name])["networks.ld"],
        **{f"firmware/lib/{name}": content for name, content in kernels_for(sources.values()).items()},
        **firmware_files(board),
        "src/main.c": rendered("firmware_main.c.j2", delivery),
        "src/vector.h": rendered("vector.h.j2", delivery),
        "platformio.ini": rendered("platformio.ini.j2", delivery, board=board),
        "README.md": rendered("README.platformio.md.j2", delivery, board=board),
        "LICENSE": licence(),
        ".gitignore": b".pio/\n",
    }


def firmware_files(board: Board) -> dict[str, bytes]:
    """The board's port, and the platform that builds for it unless a vendor's does: path in the folder -> content.

    Raises:
        InfrastructureError: a file is missing from this installation.
    """
    shared = _PORT_FILES if board.own_memory_map else _ARDUINO_FILES
    names = [f"src/{name}" for name in (*shared, *_port(board))]
    files = {}
    if board.vendor is None:
        names += _platform_files()
        files[f"boards/{board.name}.json"] = read_firmware(board.path)
    return {**files, **{f"firmware/{name}": read_firmware(paths.FIRMWARE / name) for name in names}}


def _port(board: Board) -> list[str]:
    """The port's own file, whatever its language."""
    return [path.name for path in sorted((paths.FIRMWARE / "src").glob(f"port_{board.port}.*"))]


def _platform_files() -> list[str]:
    """The development platform's files, relative to the firmware's folder."""
    folder = paths.FIRMWARE / "platform"
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    if not found:
        raise InfrastructureError(f"folder {folder} is empty or missing: install tinynas again")
    return [path.relative_to(paths.FIRMWARE).as_posix() for path in found]


def read_firmware(path: Path) -> bytes:
    """A file that travels with this installation. Raises InfrastructureError: it is missing."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InfrastructureError(f"file {path} cannot be read: {error.strerror}") from error
