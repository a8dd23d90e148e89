"""Whether everything that tinynas needs is on this machine, and what to do about what is not."""

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass

from tinynas import paths
from tinynas.boards import Board, board_names, load_board
from tinynas.deploy.store import prepare_core
from tinynas.device.plugin import plugin
from tinynas.errors import TinynasError

_LEAST_FREE_BYTES = 500 * 1024**2
_PACKAGES = ("tensorflow", "tf_keras", "tensorflow_model_optimization", "tflite_micro", "platformio", "SCons", "deap")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing examined: what was found, and how to mend it (None: it is well)."""

    what: str
    found: str
    mend: str | None = None


def examine() -> list[Finding]:
    """Examine Python, packages, tools, PlatformIO's package store, boards and the disk."""
    return [
        _python(),
        *(_package(name) for name in _PACKAGES),
        _tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi", "gcc-arm-embedded"),
        _tool("qemu-system-arm", "qemu-system-arm", "qemu"),
        _tool("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf", "riscv64-elf-gcc"),
        _tool("qemu-system-riscv32", "qemu-system-misc", "qemu"),
        _tool("avr-gcc", "gcc-avr avr-libc arduino-core-avr", "avr-gcc"),
        _tool("cc", "gcc libc6-dev", "gcc"),
        _cycle_counter(),
        _package_store(),
        *(_board(name) for name in board_names()),
        _disk(),
    ]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    mend = None if sys.version_info[:2] == (3, 11) else f"this is Python {version}, tinynas needs 3.11"
    return Finding(what="Python", found=version, mend=mend)


def _package(name: str) -> Finding:
    spec = importlib.util.find_spec(name)
    mend = None if spec else "python -m pip install tinynas (in a checkout: tools/setup)"
    return Finding(what=name, found=str(spec.origin) if spec else "not installed", mend=mend)


def _tool(name: str, debian: str, brew: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(what=name, found="not on PATH", mend=f"apt-get install {debian}, or brew install {brew}")
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    first = (answer.stdout.splitlines() or ["it prints no version"])[0]
    mend = None if answer.returncode == 0 else f"{path} --version fails with status {answer.returncode}: reinstall it"
    return Finding(what=name, found=first, mend=mend)


def _cycle_counter() -> Finding:
    """QEMU's plugin, which the C compiler of this machine builds."""
    try:
        return Finding(what="cycle counter of emulated boards", found=str(plugin()))
    except TinynasError as error:
        return Finding(what="cycle counter of emulated boards", found="not built", mend=str(error))


def _package_store() -> Finding:
    folder = paths.home() / "platformio"
    try:
        prepare_core(folder)
    except TinynasError as error:
        return Finding(what="PlatformIO package store", found=str(folder), mend=str(error))
    return Finding(what="PlatformIO package store", found=str(folder))


def _board(name: str) -> Finding:
    try:
        board: Board = load_board(name)
    except TinynasError as error:
        return Finding(what=f"board {name}", found="refused", mend=str(error))
    return Finding(what=f"board {name}", found=f"{board.title}, {board.link}")


def _disk() -> Finding:
    folder = paths.home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    mend = None
    if free < _LEAST_FREE_BYTES:
        mend = f"{free:,} B are free under {folder}, builds need {_LEAST_FREE_BYTES:,}: free some or set TINYNAS_HOME"
    return Finding(what="disk", found=f"{free / 1024**3:.1f} GB free under {folder}", mend=mend)
