"""A program and a board as a PlatformIO project in a folder, touching only files whose content changes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tinynas import paths
from tinynas.boards import Board
from tinynas.errors import InfrastructureError
from tinynas.lock import FileLock

_MACROS = "tn_macros.h"
# What an Arduino core has instead.
_BARE_METAL = ("start", "cortex_m")
_WAIT_S = 120.0
_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class HeldProject:
    """A project folder that nobody else uses. `locks` are descriptors for children to inherit: one keeps it so."""

    folder: Path
    locks: tuple[int, ...]


@contextmanager
def held_project(folder: Path, *locks: int) -> Iterator[HeldProject]:
    """Use the project in `folder` alone until the end of the block. Waits for another user.

    The lock is inherited by PlatformIO, and so are the descriptors `locks`: what tinynas started may outlive it for a
    moment when it is killed.

    Raises:
        InfrastructureError: the folder cannot be written, or stays in use for two minutes.
    """
    with FileLock(folder / ".lock") as lock:
        deadline = time.monotonic() + _WAIT_S
        try:
            folder.mkdir(parents=True, exist_ok=True)
            while not lock.acquire():
                if time.monotonic() > deadline:
                    raise InfrastructureError(f"build folder {folder} is in use by another process for {_WAIT_S:g} s")
                time.sleep(_POLL_S)
        except OSError as error:
            raise InfrastructureError(f"build folder {folder} cannot be written: {error.strerror}") from error
        yield HeldProject(folder=folder, locks=(lock.descriptor, *locks))


def stage(
    board: Board,
    files: Mapping[str, bytes],
    project: HeldProject,
    *,
    defines: Sequence[str] = (),
    optimize: str = "speed",
) -> None:
    """Make the folder a PlatformIO project with `files` as its sources; other sources in it are removed.

    defines: macros that the whole image is compiled with; optimize: for "speed" or "size".

    Raises:
        InfrastructureError: the folder cannot be written.
    """
    sources = project.folder / "src"
    try:
        sources.mkdir(exist_ok=True)
        if board.vendor is not None:
            files = {**files, **_arduino_sources(board)}
        write_changed(project.folder / "platformio.ini", settings(board, defines, optimize).encode())
        for path in sources.iterdir():
            if path.name not in files:
                path.unlink()
        for name, content in files.items():
            write_changed(sources / name, content)
    except OSError as error:
        raise InfrastructureError(f"build folder {project.folder} cannot be written: {error.strerror}") from error


def write_changed(path: Path, content: bytes) -> None:
    """Write `content` unless `path` holds it: an unchanged file is not compiled again. Raises OSError."""
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def _arduino_sources(board: Board) -> dict[str, bytes]:
    """The firmware for a board whose vendor's platform builds it, with what our own platform passes as macros."""
    folder = paths.FIRMWARE / "src"
    shared = [path for path in sorted(folder.glob("*.c")) if path.stem not in _BARE_METAL and "port_" not in path.stem]
    constants = {
        "TN_BOARD_NAME": f'"{board.name}"',
        "TN_BAUD": board.baud,
        "TN_STACK_BYTES": board.stack_bytes,
        "TN_PAYLOAD_BYTES": board.payload_bytes,
    }
    lines = "".join(f"#define {name} {value}\n" for name, value in constants.items())
    sources = {path.name: path.read_bytes() for path in (*shared, folder / "port_arduino.cpp")}
    return {**sources, _MACROS: lines.encode()}


def settings(board: Board, defines: Sequence[str] = (), optimize: str = "speed") -> str:
    """The project's platformio.ini."""
    macros = " ".join(f"-D{each}" for each in defines)
    if board.vendor is not None:
        level = "-Os" if optimize == "size" else "-O2"
        core = f"board_build.core = {board.vendor.core}\n" if board.vendor.core else ""
        folders = " ".join(f'"-I{paths.FIRMWARE / each}"' for each in ("lib", "src"))
        return f"""\
[platformio]
default_envs = {board.name}

[env:{board.name}]
platform = {board.vendor.platform}
board = {board.vendor.board}
{core}framework = arduino
monitor_speed = {board.baud}
build_unflags = -Os
build_flags = {level} {folders} -include "$PROJECT_SRC_DIR/{_MACROS}" {macros}
"""
    # The link to the development platform lies in the project, because a shared one would be rewritten by every
    # installation of tinynas that uses the same store.
    return f"""\
[platformio]
default_envs = {board.name}
boards_dir = {board.path.parent.resolve()}
platforms_dir = ${{platformio.workspace_dir}}/platforms

[env:{board.name}]
platform = symlink://{paths.FIRMWARE / "platform"}
board = {board.name}
board_tinynas.baud = {board.baud}
board_tinynas.clock_hz = {board.clock_hz}
lib_ldf_mode = off
build_flags = {macros}
custom_optimize = {optimize}
custom_stack_bytes = {board.stack_bytes}
"""
