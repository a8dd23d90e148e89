"""Cycles of RISC-V snippets on the emulator, against what SiFive's manual of the FE310-G000 says they take."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tinynas.boards import Board, load_board
from tinynas.device.counter import CLASSES, Counter, Interval
from tinynas.device.emulator import qemu
from tinynas.device.plugin import plugin

PROLOGUE = """
.option arch, +zicsr
.globl start
start:
    li s0, 0x1001200C
    li s1, 0x80000000
    sw s1, 64(s1)
"""
# t and a registers are 0, t6 is 4; s1 points to RAM, and at 64(s1) lies a pointer. Nothing is pending.
SET_UP = """
    li a0, 0
    li a1, 0
    li a2, 0
    li a3, 0
    li t0, 0
    li t1, 0
    li t6, 4
    .balign 4
    sw zero, 0(s0)
"""
TEAR_DOWN = """
    sw zero, 0(s0)
"""
EPILOGUE = """
    li a0, 0x18
    li a1, 0x20026
    .balign 16
    .option norvc
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
"""

# Section 3.3: one instruction a cycle, and what waits for a value; section 3.2: three for what was predicted wrongly.
SNIPPETS = {
    "add a0, a1, a2": 1,
    "c.add a0, a1; c.addi a0, 1; c.mv a2, a0; lui a3, 5; auipc a3, 0": 5,
    "lw a0, 0(s1); nop; add a1, a0, a0": 3,
    "lw a0, 0(s1); add a1, a0, a0": 3,
    "c.lw a0, 0(s1); c.add a1, a0": 3,
    "lb a0, 0(s1); add a1, a0, a0": 4,
    "lhu a0, 0(s1); nop; add a1, a0, a0": 4,
    "lh a0, 0(s1); nop; nop; add a1, a0, a0": 4,
    "lw a0, 0(s1); li a0, 1": 3,
    "lw a0, 64(s1); lw a1, 0(a0)": 3,
    "lw a0, 0(s1); lw a1, 4(s1); add a2, a0, a1": 4,
    "sw a0, 0(s1); sb a0, 4(s1); c.sw a0, 8(s1)": 3,
    "lw a0, 0(s1); sw a0, 4(s1)": 3,
    "csrr a0, mcause; add a1, a0, a0": 4,
    "mul a0, a1, a2; add a3, a0, a0": 6,
    "mul a0, a1, a2; nop; nop; nop; nop; add a3, a0, a0": 6,
    "mul a0, a1, a2; mulh a3, a1, a2": 6,
    "div a0, a1, t6; add a3, a0, a0": 34,
    "beq a0, t6, 1f; nop; 1: nop": 3,
    "beq a0, a1, 1f; nop; 1: nop": 1 + 3 + 1,
    "j 1f; nop; 1: nop": 1 + 3 + 1,
    # Wrong the first time and the last.
    "1: addi t6, t6, -1; bnez t6, 1b": 4 * 2 + 2 * 3,
    "jal t0, 1f; j 2f; 1: jr t0; 2: nop": (1 + 3) + 1 + (1 + 3) + 1,
    "la t1, 1f; jr t1; 1: nop": 2 + 1 + 1,
    "la t1, 1f; jr t1; nop; 1: nop": 2 + 1 + 3 + 1,
    # What is pending at a branch is waited for behind it.
    "lb a0, 0(s1); beq a2, t6, 1f; add a1, a0, a0; 1: nop": 5,
    "mul a0, a1, a2; beq a2, t6, 1f; mul a3, a1, a2; 1: nop": 7,
}


def counted(snippets: list[str], board: Board, folder: Path) -> dict[str, Interval]:
    """What each snippet takes, with the store that ends it."""
    assert board.emulator is not None
    bodies = [SET_UP + snippet.replace(";", "\n") + TEAR_DOWN for snippet in snippets]
    (folder / "snippets.s").write_text(PROLOGUE + "".join(bodies) + EPILOGUE)
    compiler = ["riscv64-unknown-elf-gcc", "-march=rv32imac", "-mabi=ilp32", "-nostdlib", "-Wl,-Ttext=0x20400000"]
    subprocess.run([*compiler, "-Wl,-e,start", "snippets.s", "-o", "snippets.elf"], cwd=folder, check=True)
    counter = Counter(folder / "counted.txt")
    command = [qemu(board.emulator.program), "-machine", board.emulator.machine, "-nodefaults", "-display", "none"]
    command += ["-semihosting", "-icount", "shift=0,align=off,sleep=off", "-kernel", str(folder / "snippets.elf")]
    subprocess.run([*command, *counter.arguments(plugin(), board)], check=True, timeout=60)
    intervals = counter.take()
    assert len(intervals) == 2 * len(snippets)
    return dict(zip(snippets, intervals[1::2], strict=True))


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Mapping[str, Interval]:
    return counted(list(SNIPPETS), load_board("sifive_e"), tmp_path_factory.mktemp("snippets"))


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_takes_the_cycles_that_the_manual_gives(found, snippet):
    # The store that ends the interval takes one.
    assert found[snippet].cycles - 1 == SNIPPETS[snippet]
    assert found[snippet].wait_cycles == 0


@pytest.mark.parametrize(
    ("snippet", "classes"),
    [
        ("c.add a0, a1; c.addi a0, 1; c.mv a2, a0; lui a3, 5; auipc a3, 0", {"alu": 5}),
        ("mul a0, a1, a2; mulh a3, a1, a2", {"multiply": 2}),
        ("div a0, a1, t6; add a3, a0, a0", {"divide": 1, "alu": 1}),
        ("lw a0, 0(s1); lw a1, 4(s1); add a2, a0, a1", {"load": 2, "alu": 1}),
        ("csrr a0, mcause; add a1, a0, a0", {"other": 1, "alu": 1}),
        ("1: addi t6, t6, -1; bnez t6, 1b", {"alu": 4, "branch": 4}),
    ],
)
def test_instructions_are_counted_by_class(found, snippet, classes):
    expected = dict.fromkeys(CLASSES, 0) | classes
    expected["store"] += 1
    assert found[snippet].by_class == expected
    assert found[snippet].instructions == sum(expected.values())
    assert (found[snippet].loads, found[snippet].stores) == (expected["load"], expected["store"])
