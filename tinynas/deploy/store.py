"""PlatformIO's package store, prepared from what pip installed: PlatformIO then needs no network.

PlatformIO runs its builds with SCons, which it would fetch from its own registry. The SCons from PyPI is the same
program, so the store gets a package that calls it. Development platforms are given as links and need no store.
"""

import fcntl
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformio.dependencies import get_core_dependencies

from tinynas import paths
from tinynas.errors import InfrastructureError, TinynasError, ToolchainError

_SCONS = "tool-scons"
_PROGRAM = "import SCons.Script\n\nSCons.Script.main()\n"


def prepare_core(core: Path) -> Path:
    """Make the folder `core` ready for builds and return it. What is missing or damaged is mended.

    Several processes may call it at once. PlatformIO's own folder in the user's home is never touched.

    Raises:
        ToolchainError: SCons is not installed, or is not the version that PlatformIO asks for.
        InfrastructureError: the folder cannot be written.
    """
    wanted = _package(core / "packages" / _SCONS)
    try:
        if not _holds(wanted):
            core.mkdir(parents=True, exist_ok=True)
            with _locked(core):
                for path, content in wanted.items():
                    _write_whole(path, content)
    except OSError as error:
        raise InfrastructureError(f"PlatformIO's folder {core} cannot be written: {error.strerror}") from error
    return core


def _package(folder: Path) -> dict[Path, bytes]:
    """The files of the package that calls SCons; `.piopm` is PlatformIO's note of where a package came from."""
    version = _scons_version()
    manifest = {"name": _SCONS, "version": version, "description": "SCons, as installed by pip"}
    spec = {"owner": "platformio", "id": None, "name": _SCONS, "requirements": None, "uri": None}
    note = {"type": "tool", "name": _SCONS, "version": version, "spec": spec}
    return {
        folder / "scons.py": _PROGRAM.encode(),
        folder / "package.json": json.dumps(manifest).encode(),
        folder / ".piopm": json.dumps(note).encode(),
    }


def _scons_version() -> str:
    """The installed SCons in PlatformIO's numbering: 4.11.1 is 4.41101.0, the version's parts in two digits each.

    Raises:
        ToolchainError: it is not installed, or PlatformIO asks for another one.
    """
    try:
        installed = importlib.metadata.version("scons")
    except importlib.metadata.PackageNotFoundError:
        raise ToolchainError(
            f"SCons is not installed and PlatformIO needs it: run `{sys.executable} -m pip install scons`"
        ) from None
    major, minor, patch = [*installed.split("."), "0", "0"][:3]
    version = f"{major}.{major}{minor:0>2}{patch:0>2}.0"
    required = get_core_dependencies()[_SCONS]
    if required != f"~{version}":
        raise ToolchainError(
            f"SCons {installed} is installed, PlatformIO asks for {_SCONS} {required}: "
            f"run `{sys.executable} -m pip install --upgrade platformio scons`"
        )
    return version


def _holds(wanted: dict[Path, bytes]) -> bool:
    try:
        return all(path.read_bytes() == content for path, content in wanted.items())
    except FileNotFoundError:
        return False


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


@contextmanager
def _locked(core: Path) -> Iterator[None]:
    with (core / ".tinynas.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        prepare_core(paths.home() / "platformio")
    except TinynasError as error:
        sys.exit(f"tinynas: {error}")
