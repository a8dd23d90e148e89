"""What each of the compiler's passes buys on an emulated board: `python tests/benchmarks/passes.py [--board B]`.

Each pass has a network to show itself on, which is built and measured with it and without; both times the outputs must
be tflite-micro's. Two networks are made by hand, the others are MLPerf Tiny's. patches.py shows what patches buy.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from measured import measured_cost

from tinynas import compiler
from tinynas.boards import Board, load_board
from tinynas.compiler import Program, compile_network
from tinynas.cost import Cost
from tinynas.device.bench import open_bench

sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))
from test_activation import followed
from test_padding import padded

MODELS = Path(__file__).parents[3] / "shared" / "models"


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A pass, its network, and how that one is compiled with it and without."""

    title: str
    model: Callable[[], bytes]
    options: dict[str, Any]
    without: dict[str, Any]
    function: str | None = None


def shared(name: str) -> Callable[[], bytes]:
    return (MODELS / f"{name}.tflite").read_bytes


KEEP = {"keep_constant_channels": True}
PASSES = (
    Pass(title="PAD into CONV_2D", model=padded, options=KEEP, without=KEEP, function="fold_padding"),
    Pass(
        title="RELU into CONV_2D",
        model=lambda: followed("CONV_2D"),
        options=KEEP,
        without=KEEP,
        function="fold_activations",
    ),
    Pass(title="ADD into CONV_2D, ic", model=shared("ic"), options=KEEP, without=KEEP, function="fold_additions"),
    Pass(title="constant channels, vww", model=shared("vww"), options={}, without=KEEP),
    Pass(title="16 KB of fast memory, vww", model=shared("vww"), options={**KEEP, "fast_bytes": 16384}, without=KEEP),
    Pass(title="32 KB of fast memory, kws", model=shared("kws"), options={**KEEP, "fast_bytes": 32768}, without=KEEP),
)


def compiled(each: Pass, board: Board) -> tuple[bytes, Program, Program]:
    tflite = each.model()
    program = compile_network(tflite, target=board.target, **each.options)
    if each.function is None:
        return tflite, program, compile_network(tflite, target=board.target, **each.without)
    # The pass that changes nothing; the steps are its last argument.
    with mock.patch.object(compiler, each.function, lambda *given: given[-1]):
        return tflite, program, compile_network(tflite, target=board.target, **each.without)


def figures(cost: Cost) -> str:
    assert cost.instructions is not None
    assert cost.latency_us is not None
    assert cost.sram is not None
    assert cost.flash is not None
    return (
        f"{cost.instructions:>12,} {cost.latency_us:>12,.1f} {cost.sram.total:>9,}"
        f" {cost.flash.constants:>10,} {cost.flash.code:>8,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What each of the compiler's passes buys.")
    parser.add_argument("--board", default="netduinoplus2")
    board = load_board(parser.parse_args().board)
    if not board.emulated:
        parser.error(f"board {board.name} counts no instructions: choose an emulated one")
    if not MODELS.is_dir():
        sys.exit(f"the reference networks are not in {MODELS}")
    print(f"board {board.name} (emulated)")
    print(f"{'':<36} {'instructions':>12} {'latency us':>12} {'SRAM B':>9} {'constants B':>10} {'code B':>7}")
    with tempfile.TemporaryDirectory() as home:
        os.environ["TINYNAS_HOME"] = home
        with open_bench(board, directory=Path(home) / "bench") as bench:
            for each in PASSES:
                tflite, *programs = compiled(each, board)
                for what, program in zip(("with", "without"), programs, strict=True):
                    cost = measured_cost(tflite, program, board, Path(home) / "desk", bench)
                    print(f"{each.title:<28} {what:<7} {figures(cost)}")


if __name__ == "__main__":
    main()
