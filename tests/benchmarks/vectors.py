"""What a Cortex-M55's vectors gain: `python tests/benchmarks/vectors.py [NETWORK...] [--json]`.

Each reference network is compiled for the DSP instructions that a Cortex-M55 has as well, and for its vectors, and run
on the emulated mps3_an547; its output must be the expected one. Instructions are counted; cycles are modelled as
boards/README.md says, and compared with no chip.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from engine import MACS, MODELS, NETWORKS, Figures, compiled, measured

from tinynas.boards import load_board
from tinynas.compiler import Target
from tinynas.device.bench import open_bench

BOARD = "mps3_an547"
BEFORE: Target = "cortex-m4"
AFTER: Target = "cortex-m55"
_WIDTHS = (32, 18, 32, 20, 18)


def figures(names: list[str]) -> dict[str, dict[Target, Figures]]:
    """Of each network, as it is, for both targets. Ends the program when an output is another than expected."""
    board = load_board(BOARD)
    found: dict[str, dict[Target, Figures]] = {name: {} for name in names}
    with tempfile.TemporaryDirectory() as home:
        os.environ["TINYNAS_HOME"] = home
        with open_bench(board, directory=Path(home) / "bench") as bench:
            for target in (BEFORE, AFTER):
                whole, _ = compiled(names, target, "speed", 0)
                for name, program in whole.items():
                    print(f"{name} for {target}", file=sys.stderr)
                    found[name][target] = measured(name, program, board, Path(home) / "desk", bench)
    return found


def show(found: dict[str, dict[Target, Figures]]) -> None:
    print(f"board {BOARD} (emulated), per inference, {BEFORE} -> {AFTER}")
    titles = zip(("instructions", "per MAC", "modelled cycles", "arena [B]", "code [B]"), _WIDTHS, strict=True)
    print(" " * 8 + "".join(f"{title:>{width}}" for title, width in titles))
    for name, of in found.items():
        before, after = of[BEFORE], of[AFTER]
        cells = [
            f"{before.instructions:,} -> {after.instructions:,} {before.instructions / after.instructions:5.2f}x",
            f"{before.instructions / MACS[name]:.3f} -> {after.instructions / MACS[name]:.3f}",
            f"{before.cycles:,} -> {after.cycles:,} {before.cycles / after.cycles:5.2f}x",
            f"{before.arena:,} -> {after.arena:,}",
            f"{before.code:,} -> {after.code:,}",
        ]
        print(f"{name:8}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description="What a Cortex-M55's vectors gain on the five reference networks.")
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"{', '.join(NETWORKS)}; default: all")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if unknown := set(chosen.network) - set(NETWORKS):
        parser.error(f"{', '.join(sorted(unknown))}: the networks are {', '.join(NETWORKS)}")
    if not MODELS.is_dir():
        sys.exit(f"the reference networks are not in {MODELS}")
    found = figures(chosen.network or list(NETWORKS))
    if chosen.json:
        print(json.dumps({name: {target: asdict(each) for target, each in of.items()} for name, of in found.items()}))
    else:
        show(found)


if __name__ == "__main__":
    main()
