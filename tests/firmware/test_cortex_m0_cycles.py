"""Cycles of assembly snippets on the emulator, against table 3-1 of the Cortex-M0's manual (ARM DDI 0432C)."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tinynas.boards import load_board
from tinynas.device.counter import Counter, Interval
from tinynas.device.emulator import qemu
from tinynas.device.plugin import plugin

PROLOGUE = """
.syntax unified
.thumb
.section .vectors, "a"
.word 0x20003000, start
.text
.thumb_func
start:
    ldr r6, =SYNC
    ldr r7, =0x20000000
    movs r5, #0
"""
# r0 to r3 are 0 and the flags say so; r7 points to RAM.
SET_UP = """
    movs r3, #0
    movs r2, #0
    movs r1, #0
    movs r0, #0
    b 9f
    .balign 64
9:  str r5, [r6]
"""
TEAR_DOWN = """
    str r5, [r6]
    b 8f
    .ltorg
8:
"""
EPILOGUE = """
    movs r0, #0x18
    ldr r1, =0x20026
    bkpt 0xAB
    .ltorg
"""

SNIPPETS = {
    "adds r0, r0, r1": 1,
    "muls r0, r1, r0": 1,
    "lsls r0, r1, #4; asrs r0, r1; movs r0, #1; cmp r0, r1; tst r0, r1; mvns r0, r1": 6,
    "sxtb r0, r1; uxth r0, r1; rev r0, r1; mov r8, r0; add r0, r8; nop": 6,
    "ldr r0, [r7]": 2,
    "ldrb r0, [r7]; ldrh r1, [r7, #2]; ldrsb r0, [r7, r1]; ldrsh r1, [r7, r2]": 8,
    "ldr r0, =0x12345678": 2,
    "ldr r0, [r7]; ldr r1, [r7]": 4,
    "adds r7, #4; ldr r0, [r7]; subs r7, #4": 4,
    "str r0, [r7]": 2,
    "strb r0, [r7]; strh r0, [r7, r1]; str r0, [sp, #0]": 6,
    "mov r4, r7; ldm r4!, {r0-r2}": 1 + 4,
    "mov r4, r7; stm r4!, {r0-r2}": 1 + 4,
    "push {r0-r3}; pop {r0-r3}": 5 + 5,
    "b 1f; nop; 1: nop": 3 + 1,
    "b 1f; nop; .balign 4; nop; 1: bl 2f; 2: nop": 3 + 4 + 1,
    "cmp r0, r0; bne 1f; nop; 1: nop": 1 + 1 + 2,
    "movs r0, #4; 1: subs r0, #1; bne 1b": 1 + 4 * 1 + 3 * 3 + 1,
    "bl 1f; b 2f; 1: bx lr; 2: nop": 4 + 3 + 3 + 1,
    "bl 1f; b 2f; 1: push {r4, lr}; pop {r4, pc}; 2: nop": 4 + 3 + (4 + 2) + 3 + 1,
    "ldr r0, =1f + 1; blx r0; b 2f; 1: bx lr; 2: nop": 2 + 3 + 3 + 3 + 1,
    "ldr r0, =1f; mov pc, r0; .balign 4; 1: nop": 2 + 3 + 1,
    "mrs r0, apsr; msr apsr, r0": 8,
    "dmb; dsb; isb": 12,
    "cpsid i; cpsie i": 2,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Interval]:
    board, folder = load_board("microbit"), tmp_path_factory.mktemp("snippets")
    bodies = [SET_UP + snippet.replace(";", "\n") + TEAR_DOWN for snippet in SNIPPETS]
    source = f".equ SYNC, {board.emulator.sync_address}\n" + PROLOGUE + "".join(bodies) + EPILOGUE
    counter = Counter(folder / "intervals.txt")
    command = [qemu(), "-machine", board.emulator.machine, "-nodefaults", "-display", "none", "-semihosting"]
    command += ["-icount", "shift=0,align=off,sleep=off", "-kernel", str(linked(source, folder))]
    subprocess.run([*command, *counter.arguments(plugin(), board)], check=True, timeout=60)
    intervals = counter.take()
    assert len(intervals) == 2 * len(SNIPPETS)
    return dict(zip(SNIPPETS, intervals[1::2], strict=True))


def linked(source: str, folder: Path) -> Path:
    """A flash image of assembly."""
    (folder / "snippets.s").write_text(source)
    (folder / "snippets.ld").write_text("SECTIONS { .text 0 : { *(.vectors) *(.text) } }")
    compiler = ["arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb", "-nostdlib", "-Wl,-T,snippets.ld"]
    subprocess.run([*compiler, "-Wl,--no-warn-rwx", "snippets.s", "-o", "snippets.elf"], cwd=folder, check=True)
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", "snippets.elf", "flash.bin"], cwd=folder, check=True)
    return folder / "flash.bin"


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_takes_the_cycles_that_the_manual_gives(found: Mapping[str, Interval], snippet: str) -> None:
    # The store that ends the interval takes two.
    assert found[snippet].cycles - 2 == SNIPPETS[snippet]
