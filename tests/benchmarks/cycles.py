"""What a piece of C or assembly costs on an emulated board: instructions by class, and modelled cycles.

    python tests/benchmarks/cycles.py kernel.c [-I folder ...]

calls each function `void bench_<name>(void)` of the file and prints a line for it, without what the call itself costs:

    #include "tn_dsp.h"
    int32_t result;
    void bench_one_product(void) { result = tn_smlad(3, 4, result); }

An ELF file is run as it is, until it exits by semihosting or --seconds are over; a line is one interval between two
stores of a word to the board's sync register.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tinynas import paths
from tinynas.boards import Board, load_board
from tinynas.device.counter import CLASSES, Counter, Interval
from tinynas.device.emulator import qemu
from tinynas.device.plugin import plugin
from tinynas.errors import TinynasError

HARNESS = """
#include <stdint.h>
#include <string.h>
extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[];
static void start(void);
static void fault(void) {{ for (;;) {{ }} }}
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {{
    (void *){stack_top}, start, fault, fault, fault, fault, fault,
}};
static void nothing(void) {{ }}
{declarations}
static void (*const work[])(void) = {{nothing, {names}}};
static void start(void)
{{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm volatile("dsb\\n isb");
    memcpy(data_start, data_load, (size_t)((char *)data_end - (char *)data_start));
    memset(bss_start, 0, (size_t)((char *)bss_end - (char *)bss_start));
    for (unsigned i = 0; i < sizeof work / sizeof *work; i++) {{
        __asm volatile("str %0, [%0]\\n blx %1\\n str %2, [%2]"
            :: "r"({sync}), "r"(work[i]), "r"({sync})
            : "r0", "r1", "r2", "r3", "r12", "lr", "memory", "cc");
    }}
    __asm volatile("mov r0, #0x18\\n ldr r1, =0x20026\\n bkpt 0xAB" ::: "r0", "r1");
}}
"""
SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = flash_start, LENGTH = flash_bytes
         SRAM (rwx) : ORIGIN = sram_start, LENGTH = sram_bytes }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(4); } > FLASH
    .data : { data_start = .; *(.data*) . = ALIGN(4); data_end = .; } > SRAM AT > FLASH
    data_load = LOADADDR(.data);
    .bss (NOLOAD) : { bss_start = .; *(.bss* COMMON) . = ALIGN(4); bss_end = .; } > SRAM
    /DISCARD/ : { *(.ARM.exidx* .ARM.extab*) }
}
"""


def build(source: Path, board: Board, includes: list[str], folder: Path) -> tuple[Path, list[str]]:
    """An image that calls the file's functions, and their names."""
    sync = board.emulator.sync_address if board.emulator else "0"
    compiler = ["arm-none-eabi-gcc", *board.flags, *(f"-I{each}" for each in (*includes, paths.FIRMWARE / "lib"))]
    subprocess.run([*compiler, "-c", str(source), "-o", str(folder / "kernel.o")], check=True)
    symbols = subprocess.run(
        ["arm-none-eabi-nm", "-n", str(folder / "kernel.o")], capture_output=True, text=True, check=True
    )
    names = re.findall(r" T (bench_\w+)$", symbols.stdout, re.MULTILINE)
    if not names:
        sys.exit(f"{source} has no function void bench_<name>(void)")
    harness = HARNESS.format(
        declarations="\n".join(f"extern void {name}(void);" for name in names),
        names=", ".join(names),
        stack_top=int(board.sram_start, 16) + board.sram_bytes,
        sync=f"(volatile uint32_t *){sync}",
    )
    (folder / "harness.c").write_text(harness)
    (folder / "harness.ld").write_text(SCRIPT)
    symbols_of = {
        "flash_start": board.flash_start,
        "flash_bytes": board.flash_bytes,
        "sram_start": board.sram_start,
        "sram_bytes": board.sram_bytes,
    }
    linking = [*(f"-Wl,--defsym={name}={value}" for name, value in symbols_of.items()), f"-Wl,-T,{folder}/harness.ld"]
    image = folder / "image.elf"
    sources = [str(folder / "harness.c"), str(folder / "kernel.o")]
    subprocess.run([*compiler, "-nostartfiles", "--specs=nano.specs", *linking, *sources, "-o", str(image)], check=True)
    return image, names


def run(image: Path, board: Board, folder: Path, seconds: float) -> tuple[Interval, ...]:
    """The intervals of an image that runs until it exits, or for some time."""
    if board.emulator is None:
        sys.exit(f"board {board.name} is not emulated")
    counter = Counter(folder / "intervals.txt")
    command = [qemu(), "-machine", board.emulator.machine, "-nodefaults", "-display", "none", "-semihosting"]
    command += ["-icount", "shift=0,align=off,sleep=off", "-kernel", str(image), *counter.arguments(plugin(), board)]
    try:
        subprocess.run(command, check=True, timeout=seconds, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        print(f"ended after {seconds:g} s", file=sys.stderr)
    return counter.take()


def less(interval: Interval, overhead: Interval) -> Interval:
    """What is left of an interval without the call."""
    numbers = ("instructions", "cycles", "wait_cycles", "loads", "stores")
    return Interval(
        **{name: max(0, getattr(interval, name) - getattr(overhead, name)) for name in numbers},
        by_class={name: interval.by_class[name] - overhead.by_class[name] for name in CLASSES},
    )


def show(found: list[tuple[str, Interval]]) -> None:
    titles = ["instructions", "cycles", "waits", "loads", "stores", *CLASSES]
    width = max(len(name) for name, _ in found) + 2
    print(" " * width + "".join(f"{title:>13}" for title in titles))
    for name, each in found:
        values = [each.instructions, each.cycles, each.wait_cycles, each.loads, each.stores, *each.by_class.values()]
        print(f"{name:{width}}" + "".join(f"{value:>13,}" for value in values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="C or assembly with functions bench_<name>, or an ELF file")
    parser.add_argument("-I", dest="includes", action="append", default=[], metavar="FOLDER")
    parser.add_argument("--board", default="mps2_an386")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    try:
        board = load_board(chosen.board)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if chosen.file.suffix in {".c", ".s", ".S"}:
                image, names = build(chosen.file, board, chosen.includes, folder)
                nothing, *intervals = run(image, board, folder, chosen.seconds)[1::2]
                found = [(name, less(each, nothing)) for name, each in zip(names, intervals, strict=True)]
            else:
                intervals = list(run(chosen.file, board, folder, chosen.seconds))
                found = [(f"interval {number}", each) for number, each in enumerate(intervals)]
    except TinynasError as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(error.cmd[0]).name} failed")
    if chosen.json:
        print(json.dumps({name: asdict(each) for name, each in found}, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
