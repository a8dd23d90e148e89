"""The compilers of firmware images, found on PATH, and which versions of them and of their C libraries these are."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tinynas.boards import Board
from tinynas.errors import ToolchainError


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """library: the C library's name; header, macro: what of it knows its version; install: how to get both."""

    library: str
    header: str
    macro: str
    flags: tuple[str, ...] = ()
    install: str


# By the prefix of the tools' names, which manifests give as `toolchain`; firmware/platform/builder has the other half.
TOOLCHAINS: Mapping[str, Toolchain] = {
    "arm-none-eabi": Toolchain(
        library="newlib",
        header="newlib.h",
        macro="_NEWLIB_VERSION",
        install="install it with `sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi` (Debian), "
        "`sudo dnf install arm-none-eabi-gcc-cs arm-none-eabi-newlib` (Fedora) or "
        "`brew install --cask gcc-arm-embedded` (macOS)",
    ),
    "riscv64-unknown-elf": Toolchain(
        library="picolibc",
        header="picolibc.h",
        macro="__PICOLIBC_VERSION__",
        flags=("--specs=picolibc.specs",),
        install="install it with `sudo apt-get install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf` (Debian)",
    ),
    "avr": Toolchain(
        library="avr-libc",
        header="avr/version.h",
        macro="__AVR_LIBC_VERSION_STRING__",
        install="install it with `sudo apt-get install gcc-avr avr-libc arduino-core-avr` (Debian)",
    ),
}


def toolchain_of(board: Board) -> str:
    """The compiler and the C library that build images for `board`, with their versions.

    Raises:
        ToolchainError: the compiler is not on PATH, or has no C library for the board's CPU.
    """
    if board.vendor is not None:
        return f"of PlatformIO's platform {board.vendor.platform}"
    compiler, toolchain = f"{board.toolchain}-gcc", TOOLCHAINS[board.toolchain]
    found = shutil.which(compiler)
    if found is None:
        raise ToolchainError(f"{compiler} is not on PATH: {toolchain.install}")
    return _versions(found, toolchain, board.flags)


@functools.cache
def _versions(compiler: str, toolchain: Toolchain, flags: tuple[str, ...]) -> str:
    # The preprocessor knows both versions, and stops where the library's headers are missing.
    command = [compiler, *toolchain.flags, *flags, "-E", "-dM", "-include", toolchain.header, "-x", "c", os.devnull]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"{compiler} does not run: {error}") from error
    defined = dict(re.findall(r'^#define (\w+) "(.*)"$', answer.stdout, re.MULTILINE))
    if answer.returncode != 0 or not {"__VERSION__", toolchain.macro} <= defined.keys():
        raise ToolchainError(
            f"{compiler} has no {toolchain.library} for {' '.join(flags)}: {toolchain.install}\n{answer.stderr.strip()}"
        )
    return f"GCC {defined['__VERSION__']}, {toolchain.library} {defined[toolchain.macro]}"
