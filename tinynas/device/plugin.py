"""The cycle counter that QEMU loads, and simavr as a board, built from `firmware/emulator` by the C compiler here."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tinynas import paths
from tinynas.errors import InfrastructureError, TinynasError, ToolchainError

COMPILER = "cc"
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
# Undefined until QEMU loads it, which only macOS wants to be told.
_SHARED = ("-fPIC", "-shared", "-fvisibility=hidden") + (
    ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
)
_INSTALL = (
    "install one with `sudo apt-get install gcc libc6-dev` (Debian), `sudo dnf install gcc` (Fedora) or "
    "`xcode-select --install` (macOS)"
)


def plugin(sources: Path = paths.FIRMWARE / "emulator") -> Path:
    """The shared library, built the first time and whenever its sources change. Several processes may call it at once.

    Raises:
        ToolchainError: there is no C compiler, or it fails.
        InfrastructureError: the folder cannot be written.
    """
    return _built("tn_cycles", sources, _SHARED, "QEMU's cycle counter", _INSTALL)


def simulator(sources: Path = paths.FIRMWARE / "emulator" / "avr") -> Path:
    """The program that is a board with an AVR, built like the plugin.

    Raises:
        ToolchainError: there is no C compiler, or no simavr for it.
        InfrastructureError: the folder cannot be written.
    """
    install = "install simavr with `sudo apt-get install libsimavr-dev` (Debian) or `brew install simavr` (macOS)"
    return _built("tn_avr", sources, ("-lsimavr",), "the emulator of AVR boards", install)


def _built(name: str, sources: Path, flags: tuple[str, ...], what: str, install: str) -> Path:
    files = sorted(sources.glob("*.[ch]"))
    digest = hashlib.sha256(" ".join((*_FLAGS, *flags)).encode())
    for path in files:
        digest.update(path.name.encode() + b"\n" + path.read_bytes())
    built = paths.home() / "emulator" / f"{name}-{digest.hexdigest()[:16]}{'.so' if flags == _SHARED else ''}"
    if not built.is_file():
        _compile([path for path in files if path.suffix == ".c"], built, flags, what, install)
    return built


def _compile(sources: list[Path], built: Path, flags: tuple[str, ...], what: str, install: str) -> None:
    compiler = shutil.which(COMPILER)
    if compiler is None:
        raise ToolchainError(
            f"{COMPILER} is not on PATH and emulated boards need a C compiler: {what} is built on the "
            f"machine that it runs on; {_INSTALL}"
        )
    command = [compiler, *_FLAGS, *map(str, sources), *flags, "-o"]
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent, prefix=".") as folder:
            draft = Path(folder) / built.name
            done = subprocess.run([*command, str(draft)], capture_output=True, text=True, timeout=120, check=False)
            if done.returncode != 0:
                raise ToolchainError(f"{compiler} cannot build {what}; {install}\n{done.stderr.strip()}")
            draft.replace(built)
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"{compiler} did not build {what} in {error.timeout:g} s") from error
    except OSError as error:
        raise InfrastructureError(f"{built} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    try:
        plugin()
    except TinynasError as error:
        sys.exit(f"tinynas: {error}")
