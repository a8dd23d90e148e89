"""What each hardware gene changes: random networks on an emulated board, without any gene and with each alone.

    python tests/benchmarks/hardware_genes.py [--board netduinoplus2] [--space mobilenet] [--networks 8]

prints the mean change of each figure over the networks, and on how many of them it became better.
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
from tinynas.deploy.build import build
from tinynas.device.bench import Bench, open_bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import to_cost
from tinynas.errors import CandidateError
from tinynas.space.genome import random_genome
from tinynas.space.hardware import Deployment
from tinynas.space.registry import load_space
from tinynas.study import work
from tinynas.study.deployment import search_options
from tinynas.study.desks import held_desk

SHAPE, CLASSES = (28, 28, 1), 10
MOST_MACS = 4_000_000
GENES = {
    "optimize": Deployment(optimize="size"),
    "patches": Deployment(patches="auto"),
    "fast_memory 4": Deployment(fast_bytes=4096),
    "fast_memory 16": Deployment(fast_bytes=16384),
}


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
    with held_desk() as desk:
        image = build(board, program, desk)
    inputs = np.zeros((1, program.inputs_bytes), np.int8)
    return to_cost(flash_and_measure(bench, image, inputs, repeats=1), image, board)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", default="netduinoplus2")
    parser.add_argument("--space", default="mobilenet")
    parser.add_argument("--networks", type=int, default=8)
    given = parser.parse_args()
    board = load_board(given.board)
    figures = ("latency_us", "sram_bytes", "flash_bytes")
    changes: dict[tuple[str, str], list[float]] = {}
    with (
        Children(1, memory_bytes=8 << 30, prepare=work.configure) as children,
        open_bench(board, directory=paths.home() / "bench") as bench,
    ):
        for tflite in models(given.space, given.networks, children):
            plain = measured(board, bench, tflite, Deployment())
            for gene, deployment in GENES.items():
                cost = measured(board, bench, tflite, deployment)
                for figure in figures:
                    before, after = plain.figure(figure), cost.figure(figure)
                    if before is None or after is None:
                        raise ValueError(f"no {figure}")
                    changes.setdefault((gene, figure), []).append(after / before - 1)
    print(f"{given.networks} networks of {given.space} on {board.name}; mean change (better on so many)")
    print(f"{'gene':16}" + "".join(f"{figure:>22}" for figure in figures))
    for gene in GENES:
        cells = (changes[gene, figure] for figure in figures)
        said = (f"{np.mean(cell):+.1%} ({sum(change < 0 for change in cell)})" for cell in cells)
        print(f"{gene:16}" + "".join(f"{each:>22}" for each in said))


if __name__ == "__main__":
    main()
