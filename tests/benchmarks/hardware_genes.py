"""What each hardware gene changes: random networks on an emulated board, without any gene and with each alone.

    python tests/benchmarks/hardware_genes.py [--board netduinoplus2] [--space mobilenet] [--networks 8] [--only clock]

prints the mean change of each figure over the networks, and on how many of them it became better. "beyond_idle_uj" is
the energy of an inference less what the board would draw in its time at rest, with --idle-mw: whoever infers once a
period and rests for what is left of it chooses the clock by that.
"""

import argparse
import random
from collections.abc import Iterator

import numpy as np

from tinynas import paths
from tinynas.boards import Board, load_board
from tinynas.children import Children
from tinynas.compiler import compile_network
from tinynas.cost import Cost
from tinynas.deploy.desks import Desks
from tinynas.device.bench import Bench, open_bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost
from tinynas.errors import CandidateError
from tinynas.space.genome import random_genome
from tinynas.space.hardware import Deployment
from tinynas.space.registry import load_space
from tinynas.study import work
from tinynas.study.deployment import search_options

SHAPE, CLASSES = (28, 28, 1), 10
MOST_MACS = 4_000_000
# An STM32F405 in stop mode, its regulator in low-power mode: 0.31 mA at 25 C (DS8626 Rev 12, table 23), at 3.3 V.
IDLE_MW = 1.02
FIGURES = ("latency_us", "sram_bytes", "flash_bytes", "energy_uj", "beyond_idle_uj")
GENES = {
    "optimize": Deployment(optimize="size"),
    "patches": Deployment(patches="auto"),
    "fast_memory 4": Deployment(fast_bytes=4096),
    "fast_memory 16": Deployment(fast_bytes=16384),
}


def genes_for(board: Board, only: str) -> dict[str, Deployment]:
    """Each gene alone; of clocks all that the board has beside its own."""
    steps = [step.hz for step in board.clock_steps if step.hz != board.clock_hz]
    clocks = {f"clock {hz // 1_000_000}": Deployment(clock_hz=hz) for hz in steps}
    return {name: deployment for name, deployment in {**GENES, **clocks}.items() if name.startswith(only)}


def models(space_name: str, count: int, children: Children) -> Iterator[bytes]:
    """Untrained int8 networks of random genomes."""
    space, rng = load_space(space_name), random.Random(3)
    while count:
        try:
            network = space.decode(random_genome(space, rng), SHAPE, CLASSES)
        except CandidateError:
            continue
        if network.macs < MOST_MACS:
            count -= 1
            yield children.call("converting", 300, work.convert_random, network, 0)


def measured(board: Board, bench: Bench, tflite: bytes, deployment: Deployment) -> Cost:
    options = search_options(deployment)
    program = compile_network(tflite, target=board.target, constants=board.constants, **options.arguments)
    image = Desks().build(board.at(deployment.clock_hz), program)
    inputs = np.zeros((1, program.inputs_bytes), np.int8)
    return to_cost(flash_and_measure(bench, image, inputs, repeats=1), image, board)


def figure_of(cost: Cost, name: str, idle_mw: float) -> float:
    if name == "beyond_idle_uj":
        return figure_of(cost, "energy_uj", idle_mw) - idle_mw * figure_of(cost, "latency_us", idle_mw) / 1000
    figure = cost.figure(name)
    if figure is None:
        raise ValueError(f"no {name}")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="netduinoplus2")
    parser.add_argument("--space", default="mobilenet")
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--only", default="", help="genes whose name begins so")
    parser.add_argument("--idle-mw", type=float, default=IDLE_MW)
    given = parser.parse_args()
    board = load_board(given.board)
    genes, figures = genes_for(board, given.only), FIGURES if board.power else FIGURES[:3]
    changes: dict[tuple[str, str], list[float]] = {}
    with (
        Children(1, memory_bytes=8 << 30, prepare=work.configure) as children,
        open_bench(board, directory=paths.home() / "bench") as bench,
    ):
        for tflite in models(given.space, given.networks, children):
            plain = measured(board, bench, tflite, Deployment())
            for gene, deployment in genes.items():
                cost = measured(board, bench, tflite, deployment)
                for figure in figures:
                    before, after = (figure_of(each, figure, given.idle_mw) for each in (plain, cost))
                    changes.setdefault((gene, figure), []).append(after / before - 1)
    print(f"{given.networks} networks of {given.space} on {board.name}; mean change (better on so many)")
    print(f"{'gene':16}" + "".join(f"{figure:>22}" for figure in figures))
    for gene in genes:
        cells = (changes[gene, figure] for figure in figures)
        said = (f"{np.mean(cell):+.1%} ({sum(change < 0 for change in cell)})" for cell in cells)
        print(f"{gene:16}" + "".join(f"{each:>22}" for each in said))


if __name__ == "__main__":
    main()
