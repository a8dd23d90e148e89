"""Cycles of assembly snippets on the emulator, against what ARM's manual of the Cortex-M4 says they take."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tinynas.boards import Board, FlashTiming, load_board
from tinynas.device.counter import CLASSES, Counter, Interval
from tinynas.device.emulator import qemu
from tinynas.device.plugin import plugin

PROLOGUE = """
.syntax unified
.thumb
.section .vectors, "a"
.word 0x20008000, start
.text
.thumb_func
start:
    ldr r0, =0xE000ED88
    ldr r1, =0xF << 20
    str r1, [r0]
    dsb
    isb
    ldr r6, =SYNC
    ldr r7, =0x20000000
    movs r5, #0
    str r7, [r7, #64]
"""
# r0 to r5 are 0 and the flags say so; r7 and r9 point to RAM, r8 is 4, and at r10 lies a pointer.
SET_UP = """
    movs r0, #0
    movs r1, #0
    movs r2, #0
    movs r3, #0
    movs r4, #0
    mov r8, #4
    add r9, r7, #128
    add r10, r7, #64
    vmov s0, r0
    vmov s1, r0
    vmov s2, r0
    movs r0, #0
    b 9f
    .balign 64
9:  str.w r5, [r6]
"""
TEAR_DOWN = """
    str.w r5, [r6]
    b 8f
    .ltorg
8:
"""
EPILOGUE = """
    mov r0, #0x18
    ldr r1, =0x20026
    bkpt 0xAB
    .ltorg
"""
SCRIPT = "SECTIONS { .text 0 : { *(.vectors) *(.text) } }"

# What the manual's tables 3-1, 3-2 and 7-1 say of one instruction, and its section 3.3.2 of neighbours.
SNIPPETS = {
    "adds r0, r0, r1": 1,
    "add.w r0, r1, r2, lsl #3": 1,
    "movw r0, #1; movt r0, #2": 2,
    "cmp r0, r1; nop": 2,
    "mul r0, r1, r2; mla r0, r1, r2, r3; mls r0, r1, r2, r3": 3,
    "smull r0, r1, r2, r3; umull r0, r1, r2, r3; smlal r0, r1, r2, r3": 3,
    "smlad r0, r1, r2, r3; smlabt r0, r1, r2, r3; smmlar r0, r1, r2, r3; smlald r0, r1, r2, r3": 4,
    "sxtb16 r0, r1; ssat r0, #8, r1; pkhbt r0, r1, r2; qadd r0, r1, r2; uxtb r0, r1; clz r0, r1": 6,
    "sdiv r0, r1, r2": 12,
    "ldr r0, [r7]": 2,
    "ldrb r0, [r7]; nop": 3,
    "ldr r0, =0x12345678": 2,
    "ldr r0, [r7]; ldr r1, [r9]": 3,
    "ldr r0, [r7, r8]; str r0, [r9, #20]": 3,
    "ldr r0, [r7, r8]; str r1, [r9, r8]": 3,
    "ldr r0, [r7, r8]; ldr r1, [r9]; ldr r2, [r7, #4]": 4,
    "ldr r0, [r7], #4; ldr r1, [r7], #-4": 3,
    "ldr r0, [r10]; ldr r1, [r0]": 4,
    "ldr r0, [r7]; adds r1, #1; ldr r2, [r7]": 5,
    "add r0, r7, #4; ldr r1, [r0]": 4,
    "add r0, r7, #4; nop; ldr r1, [r0]": 4,
    "add r0, r7, #4; ldr r1, [r7]": 3,
    "str r0, [r7]": 1,
    "str r0, [r7]; strb r0, [r7, #4]": 2,
    "str r0, [r7, r8]": 2,
    "str r0, [r7]; ldr r1, [r7]": 3,
    "ldrd r0, r1, [r7]": 3,
    "strd r0, r1, [r7]": 3,
    "ldr r2, [r7]; ldrd r0, r1, [r7]": 5,
    "ldm r7, {r0-r3}": 5,
    "stm r7, {r0-r3}": 5,
    "ldr r4, [r7]; ldm r7, {r0-r2}": 6,
    "push {r0-r3}; pop {r0-r3}": 10,
    "vldr s0, [r7]": 2,
    "vldm r7, {s0-s3}": 5,
    "vstr s0, [r7]": 2,
    "vadd.f32 s0, s1, s2; vmul.f32 s3, s1, s2": 2,
    "vadd.f32 s0, s1, s2; vmul.f32 s3, s0, s2": 3,
    "vmla.f32 s0, s1, s2": 3,
    "vfma.f32 s0, s1, s2": 3,
    "vdiv.f32 s0, s1, s2": 14,
    "vsqrt.f32 s0, s1": 14,
    "vmov r0, s0; vmov s1, r0; vmov r0, r1, s0, s1": 4,
    "vcvt.s32.f32 s0, s1; vabs.f32 s3, s4": 2,
    # Branches: 1, and P more when taken.
    "cmp r0, r0; bne 1f; nop; 1: nop": 4,
    "b 1f; .balign 4; 1: nop": 1 + 1 + 1,
    "b 1f; .balign 4; nop; 1: nop": 1 + 1 + 1,
    "b 1f; .balign 4; 1: add.w r0, r0, r1": 1 + 1 + 1,
    "b 1f; .balign 4; nop; 1: add.w r0, r0, r1": 1 + 2 + 1,
    "movs r0, #4; 1: subs r0, #1; bne 1b": 1 + 4 * (1 + 1) + 3 * 1,
    "cbz r0, 1f; nop; 1: nop": 1 + 1 + 1,
    "cbnz r0, 1f; nop; 1: nop": 1 + 2,
    "bl 1f; b 2f; .balign 4; 1: bx lr; .balign 4; 2: nop": (1 + 1) + (1 + 2) + (1 + 1) + 1,
    "bl 1f; b 2f; .balign 4; 1: push {r4, lr}; pop {r4, pc}; .balign 4; 2: nop": 2 + 3 + (1 + 2 + 3) + 2 + 1,
    "tbb [pc, r0]; .byte 1, 1; 1: nop": 6 + 1,
    "ldr pc, =1f + 1; .balign 4; 1: nop": 5 + 1,
    # QEMU translates code at both sides of a 1 KB boundary apart.
    "b 1f; .balign 1024; .space 1020; 1: ldr.w r0, [r7]; ldr.w r1, [r9]": 1 + 1 + 3,
    "b 1f; .balign 1024; .space 1020; 1: add.w r0, r7, #4; ldr.w r1, [r0]": 1 + 1 + 4,
    "b 1f; .balign 1024; .space 1020; 1: cmp r0, r0; bne 1b; it eq; addeq r0, #1": 1 + 1 + 3,
    # IT is folded into an instruction of 2 bytes before it; what it skips takes a cycle.
    "movs r0, #0; it eq; addeq r0, #1": 2,
    "movs.w r0, #0; it eq; addeq r0, #1": 3,
    "cmp r0, r0; it ne; ldrne r1, [r7]": 2,
    "cmp r0, r0; it eq; ldreq r1, [r7]": 3,
    "cmp r0, r0; ite ne; ldmne r7, {r1-r3}; addeq r0, #1": 3,
    "cmp r0, r0; ite eq; ldmeq r7, {r1-r3}; addne r0, #1": 6,
    # Unaligned: read as two or three parts.
    "ldr r0, [r7, #1]": 4,
    "ldr r0, [r7, #2]": 3,
    "ldr r0, [r7, #3]": 4,
    "ldrh r0, [r7, #1]": 3,
    "ldrb r0, [r7, #1]": 2,
    "str r0, [r7, #1]": 1,
}


M4_FLAGS = ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")


def assembled(snippets: list[str], folder: Path, board: Board) -> Path:
    """A flash image that runs each snippet between two writes to the sync pin."""
    has_fpu, sync = board.emulator.core != "cortex-m3", board.emulator.sync_address
    set_up = SET_UP if has_fpu else "\n".join(line for line in SET_UP.splitlines() if "vmov" not in line)
    bodies = [set_up + "\n" + snippet.replace(";", "\n") + TEAR_DOWN for snippet in snippets]
    (folder / "snippets.s").write_text(f".equ SYNC, {sync}\n" + PROLOGUE + "".join(bodies) + EPILOGUE)
    (folder / "snippets.ld").write_text(SCRIPT)
    compiler = [
        "arm-none-eabi-gcc",
        *(board.flags if board.emulator.core == "cortex-m55" else M4_FLAGS),
        "-mthumb",
        "-nostdlib",
        "-Wl,-T,snippets.ld",
        "-Wl,--no-warn-rwx",
    ]
    subprocess.run([*compiler, "snippets.s", "-o", "snippets.elf"], cwd=folder, check=True)
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", "snippets.elf", "flash.bin"], cwd=folder, check=True)
    return folder / "flash.bin"


def counted(snippets: list[str], board: Board, folder: Path) -> dict[str, Interval]:
    """What each snippet takes, with the store that ends it."""
    counter = Counter(folder / "a folder, with a comma.txt")
    command = [qemu(), "-machine", board.emulator.machine, "-nodefaults", "-display", "none", "-semihosting"]
    command += ["-icount", "shift=0,align=off,sleep=off", "-kernel", str(assembled(snippets, folder, board))]
    subprocess.run([*command, *counter.arguments(plugin(), board)], check=True, timeout=60)
    intervals = counter.take()
    assert len(intervals) == 2 * len(snippets)
    return dict(zip(snippets, intervals[1::2], strict=True))


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Mapping[str, Interval]:
    return counted(list(SNIPPETS), load_board("mps2_an386"), tmp_path_factory.mktemp("snippets"))


# ARM DDI 0337E, table 18-1: the most where operands decide.
ON_CORTEX_M3 = {
    **{snippet: cycles for snippet, cycles in SNIPPETS.items() if snippet[:3] in ("add", "ldr", "str", "cmp", "b 1")},
    "mul r0, r1, r2; muls r0, r1, r0": 2,
    "mla r0, r1, r2, r3; mls r0, r1, r2, r3": 4,
    "smull r0, r1, r2, r3": 5,
    "umull r0, r1, r2, r3": 4,
    "smlal r0, r1, r2, r3": 7,
    "umlal r0, r1, r2, r3": 6,
    "sdiv r0, r1, r2": 12,
}


def test_a_cortex_m3_takes_longer_to_multiply(tmp_path):
    found = counted(list(ON_CORTEX_M3), load_board("mps2_an385"), tmp_path)
    assert {snippet: interval.cycles - 1 for snippet, interval in found.items()} == ON_CORTEX_M3


# Two cycles for a vector instruction, one beside one of the other kind; LE is counted and takes nothing.
ON_CORTEX_M55 = {
    **{snippet: cycles for snippet, cycles in SNIPPETS.items() if snippet[:3] in ("add", "ldr", "mul", "cmp", "vad")},
    "vadd.i32 q0, q1, q2": 2,
    "vadd.i32 q0, q1, q2; vqrdmulh.s32 q0, q1, r2": 4,
    "vmul.i32 q0, q1, q2; vadd.i32 q0, q1, q2; vshr.s32 q0, q1, #31": 6,
    "vldrb.8 q0, [r7]": 2,
    "vldrb.s32 q0, [r7], #4; vldrw.32 q1, [r7, #16]": 4,
    "vldrb.8 q0, [r7]; vmladava.s8 r0, q0, q1; vldrh.s32 q0, [r7]; vmladava.s8 r2, q0, q1": 5,
    "vmullb.s8 q0, q1, q2; vstrb.32 q0, [r7], #4; vst20.8 {q0, q1}, [r7]": 5,
    "mov r0, #4; dls lr, r0; 1: vldrb.8 q0, [r7]; vadd.i32 q1, q1, q0; le lr, 1b": 2 + 4 * 3,
    "mov r0, #40; dlstp.8 lr, r0; 1: vldrb.8 q0, [r7]; vmladava.s8 r2, q0, q1; letp lr, 1b": 2 + 3 * 3,
    "mov r0, #0; wls lr, r0, 1f; nop; .balign 4; 1: nop": 1 + 2 + 1,
    "vmov.i32 q0, #0; vstrb.32 q1, [r7, q0]; vldrw.u32 q1, [r7, q0]": 2 + 3 + 4,
    "vmov q0[2], q0[0], r0, r1; csel r0, r1, r2, eq": 2,
    "mov r0, #4; vctp.8 r0; vpst; vaddt.i32 q0, q1, q2": 1 + 1 + 2 + 2,
}


@pytest.fixture(scope="module")
def found_on_m55(tmp_path_factory) -> Mapping[str, Interval]:
    return counted(list(ON_CORTEX_M55), load_board("mps3_an547"), tmp_path_factory.mktemp("snippets"))


def test_a_cortex_m55_takes_two_cycles_for_a_vector(found_on_m55):
    assert {snippet: interval.cycles - 1 for snippet, interval in found_on_m55.items()} == ON_CORTEX_M55


@pytest.mark.parametrize(
    ("snippet", "classes", "loads", "stores"),
    [
        (
            "mov r0, #4; dls lr, r0; 1: vldrb.8 q0, [r7]; vadd.i32 q1, q1, q0; le lr, 1b",
            {"alu": 1, "load": 4, "vector": 4, "branch": 4, "other": 1},
            16,
            0,
        ),
        ("vldrb.s32 q0, [r7], #4; vldrw.32 q1, [r7, #16]", {"load": 2}, 5, 0),
        ("vmullb.s8 q0, q1, q2; vstrb.32 q0, [r7], #4; vst20.8 {q0, q1}, [r7]", {"vector": 1, "store": 2}, 0, 5),
        ("vmov.i32 q0, #0; vstrb.32 q1, [r7, q0]; vldrw.u32 q1, [r7, q0]", {"vector": 1, "load": 1, "store": 1}, 4, 1),
    ],
)
def test_vectors_and_loops_are_counted(found_on_m55, snippet, classes, loads, stores):
    interval = found_on_m55[snippet]
    expected = dict.fromkeys(CLASSES, 0) | classes
    expected["store"] += 1
    assert interval.by_class == expected
    assert (interval.loads, interval.stores - 1) == (loads, stores)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_takes_the_cycles_that_the_manual_gives(found, snippet):
    # The store that ends the interval takes one.
    assert found[snippet].cycles - 1 == SNIPPETS[snippet]
    assert found[snippet].wait_cycles == 0


@pytest.mark.parametrize(
    ("snippet", "classes"),
    [
        ("movw r0, #1; movt r0, #2", {"alu": 2}),
        ("mul r0, r1, r2; mla r0, r1, r2, r3; mls r0, r1, r2, r3", {"multiply": 3}),
        ("smull r0, r1, r2, r3; umull r0, r1, r2, r3; smlal r0, r1, r2, r3", {"multiply": 3}),
        ("smlad r0, r1, r2, r3; smlabt r0, r1, r2, r3; smmlar r0, r1, r2, r3; smlald r0, r1, r2, r3", {"dsp": 4}),
        (
            "sxtb16 r0, r1; ssat r0, #8, r1; pkhbt r0, r1, r2; qadd r0, r1, r2; uxtb r0, r1; clz r0, r1",
            {"dsp": 3, "alu": 3},
        ),
        ("sdiv r0, r1, r2", {"divide": 1}),
        ("ldr r0, [r7, r8]; str r0, [r9, #20]", {"load": 1, "store": 1}),
        ("push {r0-r3}; pop {r0-r3}", {"load": 1, "store": 1}),
        ("vmla.f32 s0, s1, s2", {"fpu": 1}),
        ("vldr s0, [r7]", {"load": 1}),
        ("cmp r0, r0; bne 1f; nop; 1: nop", {"alu": 1, "branch": 1, "other": 2}),
        ("movs r0, #4; 1: subs r0, #1; bne 1b", {"alu": 5, "branch": 4}),
        ("tbb [pc, r0]; .byte 1, 1; 1: nop", {"branch": 1, "other": 1}),
    ],
)
def test_instructions_are_counted_by_class(found, snippet, classes):
    expected = dict.fromkeys(CLASSES, 0) | classes
    expected["store"] += 1
    assert found[snippet].by_class == expected
    assert found[snippet].instructions == sum(expected.values())


@pytest.mark.parametrize(
    ("snippet", "loads", "stores"),
    [
        ("ldr r0, [r7]", 1, 0),
        ("ldrd r0, r1, [r7]", 2, 0),
        ("ldm r7, {r0-r3}", 4, 0),
        ("push {r0-r3}; pop {r0-r3}", 4, 4),
        ("vldm r7, {s0-s3}", 4, 0),
        ("cmp r0, r0; it ne; ldrne r1, [r7]", 0, 0),
        ("cmp r0, r0; ite eq; ldmeq r7, {r1-r3}; addne r0, #1", 3, 0),
        ("str r0, [r7, #1]", 0, 1),
    ],
)
def test_words_are_counted_that_move(found, snippet, loads, stores):
    assert (found[snippet].loads, found[snippet].stores - 1) == (loads, stores)


def timing(**changes: object) -> FlashTiming:
    usual = {"wait_states": 5, "line_bytes": 16, "prefetch": True, "instruction_lines": 64, "data_lines": 8}
    return FlashTiming.model_validate({**usual, "source": "a test", **changes})


# Each interval starts at the start of a line, in which the store that begins it takes 4 bytes, with empty buffers.
STRAIGHT = "nop; nop"
LONG = "; ".join(["nop"] * 64)
THERE_AND_BACK = "b 1f; 2: b 3f; .balign 64; 1: b 2b; .balign 64; 3: nop"
FAR_LOOP = "movs r0, #4; 1: b 2f; .balign 64; 2: subs r0, #1; bne 1b"
LITERALS = "adr r0, 1f; ldr r1, [r0]; ldr r1, [r0, #4]; ldr r1, [r0, #16]; b 2f; .balign 16; 1: .space 32; 2: nop"


def lines(count: int) -> str:
    """Read one word of each of `count` lines of flash, twice."""
    reads = "; ".join(f"ldr r1, [r0, #{16 * line}]" for line in range(count))
    return f"movs r0, #0; {reads}; {reads}"


@pytest.mark.parametrize(
    ("snippet", "changes", "misses"),
    [
        (STRAIGHT, {}, 1),
        (LONG, {}, 1),
        (LONG, {"prefetch": False}, 9),
        (LONG, {"prefetch": False, "line_bytes": 64}, 3),
        # Both targets that lie elsewhere; the way back goes to a line in the cache.
        (THERE_AND_BACK, {}, 3),
        (THERE_AND_BACK, {"instruction_lines": 0}, 4),
        (FAR_LOOP, {}, 2),
        (FAR_LOOP, {"instruction_lines": 1}, 8),
        (LITERALS, {}, 1 + 2 + 1),
        (LITERALS, {"data_lines": 0}, 1 + 3 + 1),
        (lines(8), {}, 1 + 8),
        # One line more than the cache has, and the oldest one is always that which is needed next.
        (lines(9), {}, 1 + 18),
    ],
)
def test_the_flash_makes_the_cpu_wait_for_lines_that_are_nowhere(snippet, changes, misses, tmp_path):
    board = load_board("mps2_an386").model_copy(update={"flash_timing": timing(**changes)})
    (interval,) = counted([snippet], board, tmp_path).values()
    assert interval.wait_cycles == 5 * misses


def test_without_wait_states_the_cpu_never_waits(tmp_path):
    board = load_board("mps2_an386").model_copy(update={"flash_timing": timing(wait_states=0)})
    assert all(each.wait_cycles == 0 for each in counted([THERE_AND_BACK, LITERALS], board, tmp_path).values())


def test_what_lies_beside_the_flash_makes_the_cpu_wait_for_nothing(tmp_path):
    board = load_board("mps2_an386").model_copy(update={"flash_timing": timing(), "flash_start": "0x08000000"})
    (interval,) = counted([LITERALS], board, tmp_path).values()
    assert interval.wait_cycles == 0


@pytest.mark.parametrize(
    "arguments",
    [
        lambda path: f"output={path}",
        lambda path: "sync=0x40010004",
        lambda path: f"output={path},sync=0x40010004,prefetch=maybe",
        lambda path: f"output={path},sync=0x40010004,wait_states=many",
        lambda path: f"output={path},sync=0x40010004,data_lines=5000",
        lambda path: f"output={path},sync=0x40010004,colour=red",
        lambda path: f"output={path}/no/such/folder,sync=0x40010004",
    ],
)
def test_qemu_does_not_start_with_arguments_that_the_counter_cannot_use(arguments: Callable[[Path], str], tmp_path):
    command = [qemu(), "-machine", "mps2-an386", "-nodefaults", "-display", "none"]
    command += ["-plugin", f"{plugin()},{arguments(tmp_path / 'out.txt')}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    assert "tn_cycles: " in result.stderr


def test_a_kernels_author_sees_what_a_function_costs_without_its_call(tmp_path):
    (tmp_path / "kernel.c").write_text(
        '#include "tn_dsp.h"\nint32_t result;\nvoid bench_nothing(void) {}\n'
        "void bench_product(void) { result = tn_smlad(3, 4, result); }\n"
    )
    tool = Path(__file__).parents[1] / "benchmarks" / "cycles.py"
    command = [sys.executable, tool, tmp_path / "kernel.c", "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert found["bench_nothing"]["instructions"] == found["bench_nothing"]["cycles"] == 0
    assert found["bench_product"]["by_class"]["dsp"] == 1
    assert found["bench_product"]["instructions"] < found["bench_product"]["cycles"] < 20
