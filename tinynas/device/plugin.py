"""The cycle counter that QEMU loads, built from `firmware/emulator` by the C compiler of this machine."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tinynas import paths
from tinynas.errors import InfrastructureError, TinynasError, ToolchainError

COMPILER = "cc"
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden")
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
    files = sorted(sources.glob("*.[ch]"))
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for path in files:
        digest.update(path.name.encode() + b"\n" + path.read_bytes())
    built = paths.home() / "emulator" / f"tn_cycles-{digest.hexdigest()[:16]}.so"
    if not built.is_file():
        _compile([path for path in files if path.suffix == ".c"], built)
    return built


def _compile(sources: list[Path], built: Path) -> None:
    compiler = shutil.which(COMPILER)
    if compiler is None:
        raise ToolchainError(
            f"{COMPILER} is not on PATH and emulated boards need a C compiler: their cycle counter is built on the "
            f"machine that it runs on; {_INSTALL}"
        )
    # Undefined until QEMU loads it, which only macOS wants to be told.
    lazily = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
    command = [compiler, *_FLAGS, *lazily, *map(str, sources), "-o"]
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent, prefix=".") as folder:
            draft = Path(folder) / built.name
            done = subprocess.run([*command, str(draft)], capture_output=True, text=True, timeout=120, check=False)
            if done.returncode != 0:
                raise ToolchainError(f"{compiler} cannot build QEMU's cycle counter; {_INSTALL}\n{done.stderr.strip()}")
            draft.replace(built)
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"{compiler} did not build QEMU's cycle counter in {error.timeout:g} s") from error
    except OSError as error:
        raise InfrastructureError(f"{built} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    try:
        plugin()
    except TinynasError as error:
        sys.exit(f"tinynas: {error}")
