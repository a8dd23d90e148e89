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

from platformio import __version__ as platformio_version
from platformio.dependencies import get_core_dependencies

from tinynas import paths
from tinynas.errors import InfrastructureError, TinynasError, ToolchainError
from tinynas.files import write_whole

_SCONS = "tool-scons"
_PROGRAM = "import SCons.Script\n\nSCons.Script.main()\n"
# What would change an image unseen (GCC manual, "Environment Variables Affecting GCC").
_FOREIGN = ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX")


def core_folder() -> Path:
    """PlatformIO's folder for everything that it keeps between builds."""
    return paths.home() / "platformio"


def prepare_core(core: Path) -> None:
    """Make the folder `core` ready for builds. Does nothing when it is; mends what is missing or damaged.

    Several processes may call it at once. PlatformIO's own folder in the user's home is never touched.

    Raises:
        ToolchainError: SCons is not installed, or is not the version that PlatformIO asks for.
        InfrastructureError: the folder cannot be written.
    """
    wanted = _scons_package(core / "packages" / _SCONS)
    try:
        if all(_holds(path, content) for path, content in wanted.items()):
            return
        core.mkdir(parents=True, exist_ok=True)
        with _locked(core):
            for path, content in wanted.items():
                write_whole(path, content)
    except OSError as error:
        raise InfrastructureError(f"PlatformIO's folder {core} cannot be written: {error.strerror}") from error


def environment(core: Path) -> dict[str, str]:
    """The environment variables that PlatformIO runs with: its own folder, no telemetry, nothing of the user's."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _FOREIGN and not name.startswith(("PLATFORMIO_", "PYTHONEXEPATH"))
    }
    return inherited | {
        "PLATFORMIO_CORE_DIR": str(core),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "false",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_NO_ANSI": "true",
        # What compiler and linker say is read, so they say it in English.
        "LC_ALL": "C",
        "PYTHONUTF8": "1",
    }


def _scons_package(folder: Path) -> dict[Path, bytes]:
    """The package that calls SCons, content by path. `.piopm` is PlatformIO's note of where a package came from."""
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
    """The installed SCons in PlatformIO's numbering: 4.11.1 is 4.41101.0, its minor part holding the whole version.

    Raises:
        ToolchainError: it is not installed, or PlatformIO asks for another one.
    """
    try:
        installed = importlib.metadata.version("scons")
    except importlib.metadata.PackageNotFoundError:
        raise ToolchainError(
            f"SCons is not installed and PlatformIO builds with it: {sys.executable} -m pip install scons"
        ) from None
    major, minor, patch = [*installed.split("."), "0", "0"][:3]
    version = f"{major}.{major}{minor:0>2}{patch:0>2}.0"
    required = get_core_dependencies()[_SCONS]
    if required != f"~{version}":
        raise ToolchainError(
            f"SCons {installed} is installed ({_SCONS} {version}), "
            f"PlatformIO {platformio_version} asks for {_SCONS} {required}: "
            f"{sys.executable} -m pip install --upgrade platformio scons"
        )
    return version


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def _locked(core: Path) -> Iterator[None]:
    with (core / ".tinynas.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        prepare_core(core_folder())
    except TinynasError as error:
        sys.exit(f"tinynas: {error}")
