"""A program and a board as a PlatformIO project in a folder, touching only files whose content changes."""

from collections.abc import Mapping
from pathlib import Path

from tinynas import paths
from tinynas.boards import Board
from tinynas.errors import InfrastructureError


def stage(board: Board, files: Mapping[str, bytes], project: Path) -> None:
    """Make `project` a PlatformIO project with `files` as its sources; other sources in it are removed.

    Raises:
        InfrastructureError: the folder cannot be written.
    """
    sources = project / "src"
    try:
        sources.mkdir(parents=True, exist_ok=True)
        write_changed(project / "platformio.ini", _settings(board).encode())
        for path in sources.iterdir():
            if path.name not in files:
                path.unlink()
        for name, content in files.items():
            write_changed(sources / name, content)
    except OSError as error:
        raise InfrastructureError(f"build folder {project} cannot be written: {error}") from error


def write_changed(path: Path, content: bytes) -> None:
    """Write `content` unless `path` holds it: an unchanged file is not compiled again. Raises OSError."""
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def _settings(board: Board) -> str:
    return f"""\
[platformio]
default_envs = {board.name}
boards_dir = {board.path.parent.resolve()}

[env:{board.name}]
platform = symlink://{paths.FIRMWARE / "platform"}
board = {board.name}
lib_ldf_mode = off
"""
