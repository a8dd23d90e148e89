"""How many cycles of a network the manual leaves open: `python tests/benchmarks/open_cycles.py [--board BOARD]`.

A taken branch costs 1 to 3 cycles beyond its own by the Cortex-M4's manual, a mispredicted one 3 on an E31; how many
it really are follows from what the manuals do not tell. Printed is the bound, as if every branch were wrong by all of
that, and every divide, whose length depends on its operands.
"""

import argparse
from pathlib import Path

from tinynas.boards import load_board
from tinynas.study.profile import profile_file

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
# Cycles that one may take more or less than is counted: docs/cycles.md.
OPEN = {
    "cortex-m3": {"branch": 1, "divide": 10},
    "cortex-m4": {"branch": 1, "divide": 10},
    "e31": {"branch": 3, "divide": 31},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, default=sorted(MODELS.glob("*.tflite")), metavar="MODEL.tflite")
    parser.add_argument("--board", default="netduinoplus2")
    arguments = parser.parse_args()
    board = load_board(arguments.board)
    core = board.emulator.core if board.emulator else ""
    if core not in OPEN:
        parser.error(f"board {board.name} has no core whose manual gives ranges: those of {', '.join(OPEN)} do")
    print(f"{board.name}, {core}; emulated")
    print(f"{'network':<12}{'cycles':>14}{'branches':>12}{'divides':>9}{'open':>8}")
    for model in arguments.models:
        found = profile_file(model, board.name).whole
        counts = {name: found.by_class[name] for name in OPEN[core]}
        open_cycles = sum(count * OPEN[core][name] for name, count in counts.items())
        print(
            f"{model.stem:<12}{found.cycles:>14,}{counts['branch']:>12,}{counts['divide']:>9,}"
            f"{open_cycles / found.cycles:>8.1%}"
        )


if __name__ == "__main__":
    main()
