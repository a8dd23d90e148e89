"""Files that functions read, given to each host once and known by their SHA-256. A depot is a host's tinynas home."""

import hashlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinynas import paths
from tinynas.cluster.messages import File
from tinynas.errors import InfrastructureError

# The worker's handler, which the driver reaches through the scheduler.
RECEIVE = "tinynas_receive"
CHUNK_BYTES = 4 << 20
_FOLDERS = ("data", "training")


def depot_name() -> str:
    """What stands for this home: workers of one host that share it have the same."""
    home = paths.home()
    home.mkdir(parents=True, exist_ok=True)
    status = home.stat()
    return f"{socket.gethostname()}:{home}:{status.st_dev}-{status.st_ino}"


def file_of(path: Path) -> File:
    """The file at `path`, relative to this home. Raises InfrastructureError: it cannot be read."""
    try:
        content = (paths.home() / path).read_bytes()
    except OSError as error:
        raise InfrastructureError(f"{paths.home() / path} cannot be read: {error.strerror}") from error
    return File(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def missing(files: Sequence[File]) -> tuple[File, ...]:
    """Those that are not here. Only what has the right SHA-256 ever got its name."""
    return tuple(each for each in files if not _is_here(each))


def _is_here(file: File) -> bool:
    path = paths.home() / file.path
    return path.is_file() and path.stat().st_size == file.size


def receive(path: str, sha256: str, sender: str, offset: int, content: bytes) -> dict[str, Any]:
    """Take a piece of a file, and with the last one, which is empty, give it its name if it has the right SHA-256.
    Returns what went wrong, if anything.
    """
    try:
        target = _inside(path)
        partial = target.with_name(f"{target.name}.{os.getpid()}-{hashlib.sha256(sender.encode()).hexdigest()[:12]}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb" if offset == 0 and content else "r+b") as stream:
            stream.seek(offset)
            stream.write(content)
            if content:
                return {}
        found = hashlib.sha256(partial.read_bytes()).hexdigest()
        if found != sha256:
            partial.unlink()
            return {"error": f"{path} arrived with SHA-256 {found[:12]}, {sha256[:12]} was sent"}
        partial.replace(target)
    except (OSError, ValueError) as error:
        return {"error": f"{path} cannot be written: {error}"}
    return {}


def _inside(path: str) -> Path:
    """Where a file goes: directly in one of the folders that files are placed in."""
    parts = Path(path).parts
    if len(parts) != 2 or parts[0] not in _FOLDERS or parts[1].startswith("."):
        raise ValueError(f"{path!r} is no place for a file")
    return paths.home() / path
