"""Export as a PlatformIO project that stands alone: the network, the board, and the platform that builds for it.

The folder keeps the layout of tinynas's own firmware, because the platform finds kernels and port beside itself.
"""

from pathlib import Path

from tinynas import paths
from tinynas.boards import Board
from tinynas.compiler import write_list
from tinynas.errors import InfrastructureError, UnsupportedError
from tinynas.study.delivery import Delivery, kernels_for, licence, rendered

# What the ports share; cortex_m.c is for that family alone, and goes unused elsewhere.
_PORT_FILES = ("port.h", "stack.h", "start.h", "start.c", "frames.h", "cortex_m.c")


def platformio_project(delivery: Delivery, board: Board) -> dict[str, bytes]:
    """All files of the export: path in the folder -> content.

    Raises:
        UnsupportedError: the board is built with an Arduino core.
        InfrastructureError: a file of the firmware is missing from this installation.
    """
    if board.port == "arduino":
        raise UnsupportedError(
            f"a PlatformIO project is for boards without an Arduino core, which {board.name} has: export --to c, and "
            "add the files to a project of your own"
        )
    sources = delivery.sources
    firmware = [f"src/{name}" for name in (*_PORT_FILES, *_port(board))] + _platform_files()
    return {
        **{f"src/{name}": content for name, content in sources.items()},
        "src/networks.ld": write_list([delivery.name])["networks.ld"],
        **{f"firmware/lib/{name}": content for name, content in kernels_for(sources.values()).items()},
        **{f"firmware/{name}": _read(paths.FIRMWARE / name) for name in firmware},
        f"boards/{board.name}.json": _read(board.path),
        "src/main.c": rendered("firmware_main.c.j2", delivery),
        "src/vector.h": rendered("vector.h.j2", delivery),
        "platformio.ini": rendered("platformio.ini.j2", delivery, board=board),
        "README.md": rendered("README.platformio.md.j2", delivery, board=board),
        "LICENSE": licence(),
        ".gitignore": b".pio/\n",
    }


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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InfrastructureError(f"file {path} cannot be read: {error.strerror}") from error
