"""Cycles of AVR snippets on the emulated board, against what the AVR Instruction Set Manual says of an ATmega2560."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tinynas.boards import load_board
from tinynas.device.counter import CLASSES, Interval
from tinynas.device.emulator import EmulatedBoard

PROLOGUE = """
    jmp start
    .org 0x400
start:
    ldi r16, 0xFF
    out 0x3D, r16
    ldi r16, 0x21
    out 0x3E, r16
"""
# r0 to r5 are 0, r16 is 1; X, Y and Z point to RAM.
SET_UP = """
    clr r0
    clr r1
    clr r2
    ldi r16, 1
    ldi r26, 0
    ldi r27, 4
    ldi r28, 0
    ldi r29, 4
    ldi r30, 0
    ldi r31, 4
    sts 0x25, r0
"""
TEAR_DOWN = "    sts 0x25, r0\n"
# Nothing wakes it up.
EPILOGUE = "1: rjmp 1b\n"

# DS40002198, for AVRe+ with a program counter of 22 bits.
SNIPPETS = {
    "add r0, r1": 1,
    "adiw r26, 1; sbiw r26, 1": 4,
    "mul r0, r1": 2,
    "muls r16, r17; mulsu r16, r17; fmul r16, r17": 6,
    "movw r0, r2; ldi r16, 5; com r0; swap r0; asr r1": 5,
    "ld r0, X": 2,
    "ld r0, X+; ld r1, -X": 4,
    "ld r0, Y+; ldd r1, Y+5; ld r2, -Y": 6,
    "ld r0, Z; ldd r1, Z+63": 4,
    "lds r0, 0x400": 2,
    "st X, r0; st X+, r0; st -X, r0": 6,
    "std Y+5, r0; std Z+5, r0; sts 0x400, r0": 6,
    "lpm r0, Z; lpm r0, Z+; lpm": 9,
    "elpm r0, Z; elpm r0, Z+; elpm": 9,
    "push r0; pop r0": 4,
    "in r0, 0x3F; out 0x3F, r0": 2,
    "sbi 0x1E, 0; cbi 0x1E, 0": 4,
    "nop; wdr; sei; cli": 4,
    "rjmp 1f; nop; 1: nop": 3,
    "jmp 1f; nop; 1: nop": 4,
    "cp r0, r0; brne 1f; nop; 1: nop": 4,
    "cp r0, r0; breq 1f; nop; 1: nop": 4,
    "rcall 1f; rjmp 2f; 1: ret; 2: nop": 4 + 5 + 2 + 1,
    "call 1f; rjmp 2f; 1: ret; 2: nop": 5 + 5 + 2 + 1,
    "cpse r0, r16; nop": 2,
    "cpse r0, r0; nop; nop": 3,
    "cpse r0, r0; jmp 1f; 1: nop": 4,
    "sbrc r16, 0; nop": 2,
    "sbrs r16, 0; nop; nop": 3,
    "sbis 0x1E, 7; nop": 2,
    "ldi r16, 4; 1: dec r16; brne 1b": 1 + 4 + 3 * 2 + 1,
}


def counted(snippets: list[str], folder: Path) -> dict[str, Interval]:
    """What each snippet takes, with the store that ends it."""
    bodies = [SET_UP + snippet.replace(";", "\n") + "\n" + TEAR_DOWN for snippet in snippets]
    (folder / "snippets.s").write_text(PROLOGUE + "".join(bodies) + EPILOGUE)
    compiler = ["avr-gcc", "-mmcu=atmega2560", "-nostdlib", "snippets.s", "-o", "snippets.elf"]
    subprocess.run(compiler, cwd=folder, check=True)
    emulated = EmulatedBoard(load_board("arduino_mega2560"), folder)
    subprocess.run(["avr-objcopy", "-O", "binary", "snippets.elf", emulated.flash], cwd=folder, check=True)
    emulated.power_on()
    try:
        intervals: list[Interval] = []
        deadline = time.monotonic() + 30
        while len(intervals) < 2 * len(snippets) and time.monotonic() < deadline:
            intervals += emulated.counter.take()
    finally:
        emulated.power_off()
    assert len(intervals) == 2 * len(snippets)
    return dict(zip(snippets, intervals[1::2], strict=True))


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Mapping[str, Interval]:
    return counted(list(SNIPPETS), tmp_path_factory.mktemp("snippets"))


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_takes_the_cycles_that_the_manual_gives(found, snippet):
    # The store that ends the interval takes two.
    assert found[snippet].cycles - 2 == SNIPPETS[snippet]
    assert found[snippet].wait_cycles == 0


@pytest.mark.parametrize(
    ("snippet", "classes"),
    [
        ("muls r16, r17; mulsu r16, r17; fmul r16, r17", {"multiply": 3}),
        ("movw r0, r2; ldi r16, 5; com r0; swap r0; asr r1", {"alu": 5}),
        ("ld r0, Y+; ldd r1, Y+5; ld r2, -Y", {"load": 3}),
        ("lpm r0, Z; lpm r0, Z+; lpm", {"load": 3}),
        ("elpm r0, Z; elpm r0, Z+; elpm", {"load": 3}),
        ("push r0; pop r0", {"load": 1, "store": 1}),
        ("sbi 0x1E, 0; cbi 0x1E, 0", {"other": 2}),
        ("nop; wdr; sei; cli", {"other": 4}),
        ("call 1f; rjmp 2f; 1: ret; 2: nop", {"branch": 3, "other": 1}),
        ("sbrc r16, 0; nop", {"branch": 1, "other": 1}),
        ("ldi r16, 4; 1: dec r16; brne 1b", {"alu": 5, "branch": 4}),
    ],
)
def test_instructions_are_counted_by_class(found, snippet, classes):
    expected = dict.fromkeys(CLASSES, 0) | classes
    expected["store"] += 1
    assert found[snippet].by_class == expected
    assert found[snippet].instructions == sum(expected.values())
    assert (found[snippet].loads, found[snippet].stores) == (expected["load"], expected["store"])
