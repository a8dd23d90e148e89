import os
import stat
from pathlib import Path

import pytest

from tinynas.boards import Board, load_board
from tinynas.compiler import Program, TensorInfo


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty TINYNAS_HOME whose path has a space and a letter outside ASCII."""
    home = tmp_path / "a höme with spaces"
    monkeypatch.setenv("TINYNAS_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def warm_home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("warm home")


@pytest.fixture
def desk(warm_home, monkeypatch) -> Path:
    """A build folder that earlier tests have built in, for tests that are not about the first build."""
    monkeypatch.setenv("TINYNAS_HOME", str(warm_home))
    return warm_home / "desk 0"


@pytest.fixture
def board() -> Board:
    return load_board("netduinoplus2")


@pytest.fixture
def write_network():
    """A network with `constants` bytes in flash, `arena` and `static` bytes in SRAM; `seed` tells one from another."""

    def write(seed: int = 1, *, constants: int = 64, arena: int = 32, static: int = 16, code: str = "") -> Program:
        tensor = TensorInfo(name="x", shape=(1, 4), dtype="int8", scale=1.0, zero_point=0, bytes=4)
        sha256 = bytes([seed]) * 32
        header = f"""
#include <stdint.h>
#define TN_NETWORK_INPUT_BYTES 4
#define TN_NETWORK_OUTPUT_BYTES 4
#define TN_NETWORK_ARENA_BYTES {arena}
#define TN_NETWORK_CONSTANTS_BYTES {constants}
extern const uint8_t tn_network_sha256[32];
int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);
"""
        source = f"""
#include "network.h"
const uint8_t tn_network_sha256[32] = {{{", ".join(str(byte) for byte in sha256)}}};
static int8_t arena[{arena}] __attribute__((section(".bss.tn_arena"), aligned(16)));
static volatile uint8_t variables[{static}];
extern const int8_t tn_constants[{constants}];
int8_t *tn_network_input(void) {{ return arena; }}
const int8_t *tn_network_output(void) {{ return arena; }}
void tn_network_invoke(void) {{ variables[0] = (uint8_t)tn_constants[arena[0] & 3]; }}
{code}
"""
        assembly = f"""
    .section .rodata.tn_constants, "a", %progbits
    .balign 16
    .global tn_constants
tn_constants:
    .incbin "network_constants.bin", 0, {constants}
/* {sha256.hex()} */
"""
        return Program(
            files={
                "network.h": header.encode(),
                "network.c": source.encode(),
                "network_constants.S": assembly.encode(),
                "network_constants.bin": bytes((seed + each) % 256 for each in range(constants)),
            },
            sha256=sha256.hex(),
            arena_bytes=arena,
            arena_lower_bound_bytes=arena,
            arena=(),
            constants_bytes=constants,
            inputs=(tensor,),
            outputs=(tensor,),
            layers=(),
            kernels=(),
        )

    return write


@pytest.fixture
def wrap_compiler(tmp_path, monkeypatch):
    """Puts a shell script in front of the compiler: `$REAL` is the real one's path, `$*` the arguments."""
    real = next(
        str(Path(folder) / "arm-none-eabi-gcc")
        for folder in os.environ["PATH"].split(os.pathsep)
        if (Path(folder) / "arm-none-eabi-gcc").exists()
    )

    def wrap(script: str) -> None:
        folder = tmp_path / "wrapped"
        folder.mkdir(exist_ok=True)
        program = folder / "arm-none-eabi-gcc"
        program.write_text(f'#!/bin/sh\nREAL="{real}"\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return wrap
