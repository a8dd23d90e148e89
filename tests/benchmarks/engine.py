"""What the five reference networks cost, beside the field: `python tests/benchmarks/engine.py [NETWORK...] [--json]`.

Each network is built and measured twice from scratch on an emulated board; its output must be the expected one, and
both times the same figures must come out. Beside each figure stands what others published, with the ratio theirs /
ours, so that more than 1 is better, and the goal. All of it is of the networks as they are; what leaving out constant
channels gains, which depends on how a network was trained, is quoted apart.
"""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinynas.boards import Board, load_board
from tinynas.compiler import OPTIMIZATIONS, TARGETS, Optimize, Options, Program, Target, compile_network
from tinynas.deploy.build import build
from tinynas.device.bench import Bench, open_bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost
from tinynas.study.profile import profile_file
from tinynas.tables import profile_table

MODELS = Path(__file__).parents[3] / "shared" / "models"
NETWORKS = ("kws", "vww", "ic", "ad", "sww")
Row = Mapping[str, float]
_LABEL, _CELL = 28, 18


def _row(*values: float | None) -> Row:
    """Figures of NETWORKS in their order; None where nothing is published."""
    return {name: value for name, value in zip(NETWORKS, values, strict=True) if value is not None}


# Source of all that is published: ../shared/KERNELS.md. Instructions and memories are of QEMU mps2-an386 (Cortex-M4F),
# GCC 12, -O3. RAM is arena + peak stack, except BakeNN's: arena + input and output. Flash is a minimal program with the
# network; ours is the whole image, firmware and link included.
TFLM = "TFLM + CMSIS-NN"
MACS = _row(2.657e6, 7.490e6, 12.502e6, 0.264e6, 0.826e6)
INSTRUCTIONS = {
    TFLM: _row(7.70e6, 24.1e6, 29.9e6, 0.582e6, 2.23e6),
    "TFLM reference kernels": _row(48.6e6, 116.6e6, 131.9e6, 1.95e6, 10.1e6),
    "BakeNN 1.0 + CMSIS-NN": _row(22.8e6, 38.5e6, 50.6e6, 0.576e6, 2.22e6),
    "TinyEngine (output differs)": _row(None, 19.7e6, 25.6e6, 0.80e6, None),
}
# Best latency of a physical STM32L4R5 (Cortex-M4, 120 MHz) in MLPerf Tiny v1.1, closed division.
CYCLES = {"fastest STM32L4R5, measured": _row(5.73e6, 11.85e6, 20.1e6, 0.486e6, None)}
RAM = {TFLM: _row(24_120, 102_008, 56_296, 3_456, 17_724)}
ARENA = {"BakeNN 1.0, with I/O": _row(17_654, 105_986, 54_538, 1_552, 12_819)}
FLASH = {
    TFLM: _row(107_804, 387_156, 150_136, 305_576, 125_820),
    "BakeNN 1.0 + CMSIS-NN": _row(46_176, 263_968, 95_792, 273_292, 71_444),
}

GOALS = {
    "instructions": _row(3.0e6, 8.8e6, 12.0e6, 0.27e6, 0.83e6),
    "cycles": _row(4.2e6, 11.5e6, 16.5e6, 0.40e6, 1.15e6),
    "ram": _row(12_000, 56_000, 36_000, 2_400, 9_000),
    "code": _row(12_000, 14_000, 12_000, 6_000, 12_000),
}
GOAL_MEAN_RATIO = 2.6
# With constant channels left out.
GOAL_DROPPED = {"vww": 5.6e6}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One network on one board, per inference. Memories [B] are the network's, beyond an empty firmware's.

    cycles: modelled, without wait states; wait_cycles: what the board's flash adds; image: flash with the firmware [B].
    """

    instructions: int
    cycles: int
    wait_cycles: int
    arena: int
    static: int
    stack: int
    code: int
    constants: int
    image: int

    @property
    def ram(self) -> int:
        return self.arena + self.static + self.stack


Programs = Mapping[str, Program]


def compiled(names: Sequence[str], target: Target, optimize: Optimize, fast_bytes: int) -> tuple[Programs, Programs]:
    """The networks as they are, and without their constant channels those of them that have any."""
    whole, dropped = (
        {
            name: compile_network(
                (MODELS / f"{name}.tflite").read_bytes(),
                target=target,
                keep_constant_channels=keep,
                optimize=optimize,
                fast_bytes=fast_bytes,
            )
            for name in names
        }
        for keep in (True, False)
    )
    return whole, {name: program for name, program in dropped.items() if program != whole[name]}


def measured(name: str, program: Program, board: Board, desk: Path, bench: Bench) -> Figures:
    """Build one network and run its test vector. Ends the program when the output is another than expected."""
    vector, expected = (np.fromfile(MODELS / f"{name}.{end}.bin", np.int8) for end in ("in", "out"))
    image = build(board, program, desk)
    measurement = flash_and_measure(bench, image, vector[None], repeats=1)
    if not np.array_equal(measurement.outputs[0], expected):
        wrong = np.flatnonzero(measurement.outputs[0] != expected)
        sys.exit(f"{name}: {len(wrong)} of {len(expected)} values of the output are wrong, the first at {wrong[0]}")
    cost = to_cost(measurement, image, board)
    if cost.sram is None or cost.flash is None:
        sys.exit(f"board {board.name} gives no memory figures")
    return Figures(
        instructions=cost.instructions or 0,
        cycles=cost.cycles or 0,
        wait_cycles=cost.wait_cycles or 0,
        arena=cost.sram.arena,
        static=cost.sram.static,
        stack=cost.sram.stack or 0,
        code=cost.flash.code or 0,
        constants=cost.flash.constants,
        image=cost.flash.image or 0,
    )


def measured_twice(programs: Programs, board: Board) -> dict[str, Figures]:
    """The figures of each network. Ends the program when a second measurement gives others."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["TINYNAS_HOME"] = home
        found: list[dict[str, Figures]] = []
        for turn in range(2):
            figures = {}
            with open_bench(board, directory=Path(home) / f"bench-{turn}") as bench:
                for name, program in programs.items():
                    print(f"{name}, measurement {turn + 1} of 2", file=sys.stderr)
                    figures[name] = measured(name, program, board, Path(home) / f"desk-{turn}", bench)
            found.append(figures)
    for name in programs:
        if found[0][name] != found[1][name]:
            sys.exit(f"{name}: a second measurement differs:\n{found[0][name]}\n{found[1][name]}")
    return found[0]


def show_layers(names: Sequence[str], board: Board) -> None:
    """The layers of each network instead, once, with the build folders that are there: for those who write kernels."""
    for name in names:
        model, vector = MODELS / f"{name}.tflite", MODELS / f"{name}.in.bin"
        profile_table(profile_file(model, board.name, vector, options=Options(keep_constant_channels=True)))


def geometric_mean(found: Mapping[str, Figures]) -> float:
    """Over the networks: instructions of TFLM + CMSIS-NN divided by ours."""
    ratios = [INSTRUCTIONS[TFLM][name] / figures.instructions for name, figures in found.items()]
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


Format = Callable[[float], str]


def millions(value: float) -> str:
    return f"{value / 1e6:.3f} M"


def count(value: float) -> str:
    return f"{value:,.0f}"


class Table:
    """Lines of one cell per network under a title."""

    def __init__(self, title: str, found: Mapping[str, Figures], form: Format) -> None:
        self._found, self._form = found, form
        print(f"\n{title:{_LABEL}}" + "".join(f"{name:>{_CELL}}" for name in found))

    def ours(self, label: str, of: Callable[[Figures], float], form: Format | None = None) -> None:
        self._print(label, {name: (form or self._form)(of(figures)) for name, figures in self._found.items()})

    def published(self, rows: Mapping[str, Row], of: Callable[[Figures], float]) -> None:
        for label, row in rows.items():
            cells = {}
            for name, figures in self._found.items():
                theirs = row.get(name)
                cells[name] = "-" if theirs is None else f"{self._form(theirs)} {theirs / of(figures):6.2f}x"
            self._print(label, cells)

    def goal(self, row: Row, of: Callable[[Figures], float]) -> None:
        cells = {}
        for name, figures in self._found.items():
            excess = of(figures) - row.get(name, math.inf)
            verdict = "reached" if excess <= 0 else f"missed by {self._form(excess)}"
            cells[name] = verdict if name in row else ""
        self._print("goal", {name: self._form(row[name]) if name in row else "-" for name in self._found})
        self._print("", cells)

    def per_mac(self, of: Callable[[Figures], float]) -> None:
        self._print("per MAC", {name: f"{of(figures) / MACS[name]:.3f}" for name, figures in self._found.items()})

    def _print(self, label: str, cells: Mapping[str, str]) -> None:
        print(f"{label:{_LABEL}}" + "".join(f"{cell:>{_CELL}}" for cell in cells.values()))


def show(found: Mapping[str, Figures]) -> None:
    table = Table("Instructions per inference", found, millions)
    table.ours("tinynas", lambda each: each.instructions)
    table.per_mac(lambda each: each.instructions)
    table.goal(GOALS["instructions"], lambda each: each.instructions)
    table.published(INSTRUCTIONS, lambda each: each.instructions)
    table = Table("Modelled cycles per inference", found, millions)
    table.ours("tinynas, 0 wait states", lambda each: each.cycles)
    table.ours("  flash waits on this board", lambda each: each.wait_cycles)
    table.ours("  per instruction", lambda each: each.cycles / each.instructions, "{:.3f}".format)
    table.goal(GOALS["cycles"], lambda each: each.cycles)
    table.published(CYCLES, lambda each: each.cycles)
    table = Table("RAM [B]", found, count)
    table.ours("tinynas, with stack", lambda each: each.ram)
    table.ours("  arena", lambda each: each.arena)
    table.ours("  static", lambda each: each.static)
    table.ours("  stack", lambda each: each.stack)
    table.goal(GOALS["ram"], lambda each: each.ram)
    table.published(RAM, lambda each: each.ram)
    table.published(ARENA, lambda each: each.arena)
    table = Table("Flash [B]", found, count)
    table.ours("tinynas, whole image", lambda each: each.image)
    table.ours("  network's code", lambda each: each.code)
    table.ours("  network's constants", lambda each: each.constants)
    table.goal(GOALS["code"], lambda each: each.code)
    table.published(FLASH, lambda each: each.image)
    mean = geometric_mean(found)
    verdict = "reached" if mean >= GOAL_MEAN_RATIO else f"missed by {GOAL_MEAN_RATIO - mean:.2f}"
    scope = "" if set(found) == set(NETWORKS) else f" (of {', '.join(found)} alone)"
    print(f"\nGeometric mean of {TFLM} / tinynas, instructions: {mean:.2f}{scope}; goal {GOAL_MEAN_RATIO}: {verdict}")


def show_dropped(found: Mapping[str, Figures]) -> None:
    table = Table("Without constant channels", found, millions)
    table.ours("instructions", lambda each: each.instructions)
    table.goal(GOAL_DROPPED, lambda each: each.instructions)
    table.published({TFLM: INSTRUCTIONS[TFLM]}, lambda each: each.instructions)
    table.ours("cycles, 0 wait states", lambda each: each.cycles)
    table.published(CYCLES, lambda each: each.cycles)
    table.ours("RAM with stack [B]", lambda each: each.ram, count)
    table.ours("network's code [B]", lambda each: each.code, count)
    table.ours("network's constants [B]", lambda each: each.constants, count)


def as_object(
    found: Mapping[str, Figures], dropped: Mapping[str, Figures], board: Board, target: Target
) -> dict[str, Any]:
    """What --json prints: figures, goals and ratios theirs / ours."""
    networks = {
        name: {
            **asdict(figures),
            "ram": figures.ram,
            "goals": {figure: row[name] for figure, row in GOALS.items()},
            "instructions_ratio": {
                who: row[name] / figures.instructions for who, row in INSTRUCTIONS.items() if name in row
            },
            "cycles_ratio": {who: row[name] / figures.cycles for who, row in CYCLES.items() if name in row},
            "ram_ratio": {who: row[name] / figures.ram for who, row in RAM.items()},
            "flash_ratio": {who: row[name] / figures.image for who, row in FLASH.items()},
        }
        for name, figures in found.items()
    }
    return {
        "board": board.name,
        "target": target,
        "source": "emulated",
        "networks": networks,
        "without_constant_channels": {name: {**asdict(each), "ram": each.ram} for name, each in dropped.items()},
        "geometric_mean_ratio": geometric_mean(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What the five reference networks cost, beside the field.")
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"{', '.join(NETWORKS)}; default: all")
    parser.add_argument("--board", default="netduinoplus2")
    parser.add_argument("--target", choices=TARGETS, help="what the code is made for; default: the board's")
    parser.add_argument("--optimize", choices=OPTIMIZATIONS, default="speed", help="default: speed")
    parser.add_argument("--fast-bytes", type=int, default=0, help="of constants in memory that never waits; default: 0")
    parser.add_argument("--layers", action="store_true", help="the layers instead, for the board's target")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if unknown := set(chosen.network) - set(NETWORKS):
        parser.error(f"{', '.join(sorted(unknown))}: the networks are {', '.join(NETWORKS)}")
    if not MODELS.is_dir():
        sys.exit(f"the reference networks are not in {MODELS}")
    board = load_board(chosen.board)
    target = chosen.target or board.target
    if not board.emulated:
        parser.error(f"board {board.name} counts neither instructions nor cycles: choose an emulated one")
    if chosen.layers:
        show_layers(chosen.network or NETWORKS, board)
        return
    programs = compiled(chosen.network or NETWORKS, target, chosen.optimize, chosen.fast_bytes)
    found, dropped = (measured_twice(each, board) for each in programs)
    if chosen.json:
        print(json.dumps(as_object(found, dropped, board, target), indent=2))
        return
    print(f"board {board.name} (emulated), target {target}, for {chosen.optimize}; ratios are theirs / tinynas")
    show(found)
    if dropped:
        show_dropped(dropped)


if __name__ == "__main__":
    main()
