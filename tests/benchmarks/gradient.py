"""What strategy `gradient` finds: `python tests/benchmarks/gradient.py [SEEDS]`, minutes on one core.

All networks of a small part of space mobilenet are trained on digits, once each, scored as int8, compiled, and their
latency on a netduinoplus2 is estimated. Searches over this table are then exact. Printed are the fraction of the whole
front's hypervolume after so many evaluations of `random` (mean over 1,000 seeds) and of `gradient` (each seed with
shared weights of its own), the user CPU time that it takes to train those weights and to learn from them beside that of
a candidate, and how far the latency table is off on networks that it was not made from.
"""

import random
import statistics
import sys
from dataclasses import dataclass
from typing import Any

from fidelity import timed

from tinynas.boards import load_board
from tinynas.compiler import Program, compile_network
from tinynas.config import TaskSection
from tinynas.estimate.latency import analytic_estimator
from tinynas.estimate.layers import LayerTable, observe_layers
from tinynas.model.data import Task, load_task
from tinynas.search.fitness import Fitness, hypervolume, non_dominated
from tinynas.search.registry import make_strategy
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, random_genome
from tinynas.space.hardware import Deployment
from tinynas.space.narrow import narrowed
from tinynas.space.registry import load_space
from tinynas.study.deployment import search_options

SEEDS = 3
BUDGETS = (3, 6, 9)
EPOCHS, SUPERNET_EPOCHS, SUPERNET_SAMPLES = 12, 12, 700
TABLE_NETWORKS = 9
CHOICES = {
    **{"reduce": (1,), "stem_stride": (1,), "width": (25, 50), "head": (0,)},
    **{"depth_1": (1,), "kernel_1": (3,), "expansion_1": (1, 3, 6)},
    **{"depth_2": (0, 1), "kernel_2": (3, 5), "expansion_2": (3,)},
    **{f"depth_{stage}": (0,) for stage in (3, 4, 5)},
}
SPACE = narrowed(load_space("mobilenet"), CHOICES)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A network that was trained: its int8 error, its estimated latency, None where a layer is not known, and the user
    CPU time of all that.
    """

    network: Architecture
    program: Program
    error: float
    latency_us: float | None
    seconds: float


# (int8 error, latency [us] by the layers of all networks).
Points = dict[Genome, tuple[float, float]]


def known(network: Architecture, task: Task, number: int) -> Known:
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize
    from tinynas.model.score import score
    from tinynas.model.train import train

    def evaluate() -> tuple[Program, float]:
        model = build(network, number)
        train(model, task, epochs=EPOCHS, patience=EPOCHS, batch_size=32, learning_rate=1e-2, seed=number)
        tflite = quantize(model, task.train.x[:256])
        board = load_board("netduinoplus2")
        options = search_options(Deployment()).arguments
        program = compile_network(tflite, target=board.target, constants=board.constants, **options)
        return program, 1 - score(tflite, task.val.x, task.val.y)

    (program, error), seconds = timed(evaluate)
    latency = analytic_estimator(load_board("netduinoplus2")).estimate(program)
    latency_us = None if latency is None else latency.latency_us
    return Known(network=network, program=program, error=error, latency_us=latency_us, seconds=seconds)


def volume(points: list[tuple[float, float]], table: Points) -> float:
    """In parts of the ranges of both objectives over the table, below the worst of both."""
    spans = [(min(column), max(column)) for column in zip(*table.values(), strict=True)]
    scaled = [
        tuple((value - least) / (most - least) for value, (least, most) in zip(point, spans, strict=True))
        for point in points
    ]
    return hypervolume([scaled[index] for index in non_dominated(scaled)], (1.0, 1.0))


def found(name: str, table: Points, seed: int, **more: Any) -> list[float]:
    """Of the whole front's hypervolume the fraction after each of the BUDGETS."""
    strategy = make_strategy(
        name, SPACE, seed=seed, population=4, objectives=("error", "latency_us"), predictor=False, **more
    )
    points = []
    while len(points) < max(BUDGETS) and (genome := strategy.ask()) is not None:
        points.append(table[genome])
        strategy.tell(genome, Fitness(points[-1]))
    whole = volume(list(table.values()), table)
    return [volume(points[:budget], table) / whole for budget in BUDGETS]


def layer_table(rows: list[Known]) -> LayerTable:
    estimator = analytic_estimator(load_board("netduinoplus2"))
    layers = [layer for row in rows for layer in observe_layers(row.network, row.program, estimator)]
    return LayerTable(layers, estimator.clock_hz, estimator.outside_cycles)


def main(seeds: int) -> None:
    from tinynas.model.process import configure_process
    from tinynas.model.supernet import train_supernet
    from tinynas.study.choices import learned_choices

    configure_process()
    task, rng = load_task(TaskSection(name="digits"), 0), random.Random(0)
    genomes = list(dict.fromkeys(random_genome(SPACE, rng) for _ in range(1000)))
    networks = [SPACE.decode(genome, task.input_shape, 10) for genome in genomes]
    rows = []
    for number, network in enumerate(networks):
        rows.append(known(network, task, number))
        print(f"network {number + 1} of {len(networks)}: {1 - rows[-1].error:.3f}", file=sys.stderr, flush=True)
    every, latencies = layer_table(rows), layer_table(rows[:TABLE_NETWORKS])
    table = {genome: (row.error, every.latency_us(row.network)) for genome, row in zip(genomes, rows, strict=True)}
    errors = [
        abs(latencies.latency_us(row.network) / row.latency_us - 1) for row in rows[TABLE_NETWORKS:] if row.latency_us
    ]
    print(
        f"latency table from {TABLE_NETWORKS} networks: {statistics.mean(errors):.1%} off on {len(errors)} others, "
        f"{max(errors):.1%} at most"
    )
    results, training, learning = [], [], []
    for seed in range(seeds):
        settings = {"epochs": SUPERNET_EPOCHS, "samples": SUPERNET_SAMPLES, "batch_size": 32, "seed": seed}
        shared, seconds = timed(lambda s=settings: train_supernet(networks, task, **s))
        training.append(seconds)
        distributions, seconds = timed(
            lambda w=shared, s=seed: learned_choices(SPACE, task, w, latencies, samples=SUPERNET_SAMPLES, seed=s)
        )
        learning.append(seconds)
        results.append(found("gradient", table, seed, distributions=distributions))
        print(f"seed {seed}: {results[-1]}", file=sys.stderr, flush=True)
    print(f"| strategy | {' | '.join(map(str, BUDGETS))} |\n|---{'|---' * len(BUDGETS)}|")
    for name, runs in (("random", [found("random", table, seed) for seed in range(1000)]), ("gradient", results)):
        print(f"| `{name}` | {' | '.join(f'{statistics.mean(column):.3f}' for column in zip(*runs, strict=True))} |")
    candidate = statistics.mean(row.seconds for row in rows)
    print(
        f"{len(rows)} networks, {candidate:.1f} s each; shared weights {statistics.mean(training):.0f} s, "
        f"learning {statistics.mean(learning):.0f} s"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
