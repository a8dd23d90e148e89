"""NSGA-II against random search at small, equal budgets: `python tests/benchmarks/search_small.py TABLE.csv.gz`.

TABLE is a table of NAS-Bench-201 cells with int8 accuracies and latencies (columns as read below). Every line compares
mean hypervolumes over the same seeds; the standard error is that of the paired difference.

Goal: NSGA-II's mean is not below random search's by more than two standard errors on any line.
"""

import csv
import gzip
import math
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from tinynas.search.fitness import Fitness, hypervolume
from tinynas.search.registry import make_strategy
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Axis, Genome

SEEDS = range(60)
BUDGETS = ((40, 10), (48, 12), (60, 16))
DEVICES = ("raspi4", "pixel3")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

Evaluate = Callable[[Genome], Fitness]


class Grid:
    """A space whose genomes are their own canonical form and decode to nothing."""

    name = "grid"

    def __init__(self, *sizes: int, ordered: bool = True) -> None:
        self.axes = tuple(
            Axis(name=f"a{at}", choices=tuple(range(size)), ordered=ordered) for at, size in enumerate(sizes)
        )

    def canonical(self, genome: Genome) -> Genome:
        return genome

    def decode(self, genome: Genome, input_shape: tuple[int, ...], classes: int) -> Architecture:
        raise NotImplementedError


def read_table(path: Path, device: str) -> dict[tuple[int, ...], tuple[float, float]]:
    """Operations of a cell's six edges -> error of the int8 network [%], latency on the device [ms]."""
    table, column = {}, f"latency_ms_{device}"
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            if row["acc_cifar10_int8_ptq"] and row[column]:
                error = 100 - float(row["acc_cifar10_int8_ptq"])
                table[operations(row)] = error, float(row[column])
    return table


def read_sizes(path: Path) -> dict[tuple[int, ...], tuple[float, float]]:
    """Operations of a cell's six edges -> logarithms of its multiply-accumulates and parameters."""
    sizes = {}
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            sizes[operations(row)] = math.log1p(float(row["cell_macs"])), math.log1p(float(row["cell_params"]))
    return sizes


def operations(row: dict[str, str]) -> tuple[int, ...]:
    """Those of the six edges, by their place in OPERATIONS."""
    return tuple(OPERATIONS.index(name) for name in re.findall(r"([a-z0-9_]+)~", row["arch_str"]))


def table_problem(table: dict[tuple[int, ...], tuple[float, float]], within: float) -> Evaluate:
    """Error and latency under a limit that the fastest `within` of all cells meet; both 1 at the reference."""
    latencies = sorted(latency for _, latency in table.values())
    limit = latencies[int(within * (len(latencies) - 1))]

    def evaluate(genome: Genome) -> Fitness:
        if genome.values not in table:
            return Fitness(None, math.inf)
        error, latency = table[genome.values]
        if latency > limit:
            return Fitness(None, (latency - limit) / limit)
        return Fitness((error / 50, latency / limit))

    return evaluate


def conflict(genome: Genome) -> Fitness:
    """Two objectives that pull apart on the first axis; the other axes only cost."""
    first, *rest = genome.values
    waste = sum(rest) / 30
    return Fitness((first / 31 + waste, (1 - first / 31) ** 2 + waste))


def volume(strategy: str, grid: Grid, evaluate: Evaluate, *, seed: int, budget: int, population: int) -> float:
    """The hypervolume after `budget` evaluations, reference (1, 1)."""
    searching = make_strategy(
        strategy, grid, seed=seed, population=population, objectives=("error", "latency_us"), predictor=False
    )
    seen: list[tuple[Genome, Fitness]] = []
    while len(seen) < budget and (genome := searching.ask()):
        seen.append((genome, evaluate(genome)))
        searching.tell(*seen[-1])
    return hypervolume([each.objectives for _, each in seen if each.objectives], (1.0, 1.0))


def gains(grid: Grid, evaluate: Evaluate, *, budget: int, population: int) -> tuple[list[float], list[float]]:
    """Hypervolumes of NSGA-II and of random search, seed by seed."""
    found = [
        [volume(name, grid, evaluate, seed=seed, budget=budget, population=population) for seed in SEEDS]
        for name in ("nsga2", "random")
    ]
    return found[0], found[1]


def main(path: Path) -> None:
    problems: list[tuple[str, Grid, Evaluate]] = [("synthetic", Grid(32, 8, 8, 8), conflict)]
    for device in DEVICES:
        table = read_table(path, device)
        problems += [
            (f"{device}, {within:.0%} within the limit", Grid(*[5] * 6, ordered=False), table_problem(table, within))
            for within in (1.0, 0.5, 0.2, 0.05)
        ]
    for title, grid, evaluate in problems:
        for budget, population in BUDGETS:
            ours, baseline = gains(grid, evaluate, budget=budget, population=population)
            differences = [a - b for a, b in zip(ours, baseline, strict=True)]
            error = statistics.stdev(differences) / math.sqrt(len(differences))
            print(
                f"{title:29} {budget} evaluations, population {population}: nsga2 {statistics.mean(ours):.3f}, "
                f"random {statistics.mean(baseline):.3f}, difference {statistics.mean(differences):+.3f} ± {error:.3f}"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
