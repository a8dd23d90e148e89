"""Every strategy on a table of trained networks, at equal budgets: `python tests/benchmarks/search.py [TABLE.csv.gz]`.

TABLE is a table of NAS-Bench-201 cells with int8 accuracies and latencies; tests/benchmarks/search_small.py reads it.
Printed is the fraction of the whole front's hypervolume after so many evaluations, mean over the seeds and the least of
them. Error and latency are in parts of their range over the table, the reference is the worst of both. Beside the mean
stands on how many seeds the strategy was above random search and on how many below, of equal seeds. Optuna's samplers
are printed beside them where Optuna is installed.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from search_small import Grid, read_table

from tinynas.search.fitness import Fitness, hypervolume, non_dominated
from tinynas.search.registry import make_strategy, strategy_names
from tinynas.space.genome import Genome

TABLE = Path(__file__).resolve().parents[3] / "shared" / "nasbench" / "nb201_int8.csv.gz"
DEVICES = ("raspi4", "pixel3", "fpga")
BUDGETS = (50, 100, 200, 400)
POPULATION = 16
Points = dict[tuple[int, ...], tuple[float, float]]


def scaled(table: Points) -> Points:
    """Both figures from 0, the best of the table, to 1, the worst."""
    columns = list(zip(*table.values(), strict=True))
    spans = [(min(column), max(column) - min(column)) for column in columns]
    return {
        cell: tuple((value - least) / span for value, (least, span) in zip(figures, spans, strict=True))  # type: ignore[misc]
        for cell, figures in table.items()
    }


def covered(points: Sequence[tuple[float, float]]) -> float:
    """The hypervolume below the reference (1, 1)."""
    return hypervolume([points[index] for index in non_dominated(points)], (1.0, 1.0))


def sequence_of(strategy: str, points: Points, *, seed: int, budget: int) -> list[tuple[float, float]]:
    """What the strategy evaluated, in order."""
    searching = make_strategy(strategy, Grid(*[5] * 6), seed=seed, population=POPULATION)
    seen: list[tuple[float, float]] = []
    while len(seen) < budget and (batch := searching.ask()):
        results = [(genome, fitness_of(genome, points)) for genome in batch]
        searching.tell(results)
        seen += [fitness.objectives or (1.0, 1.0) for _, fitness in results]  # type: ignore[misc]
    return seen[:budget]


def fitness_of(genome: Genome, points: Points) -> Fitness:
    """A cell that was not measured is one that failed."""
    figures = points.get(genome.values)
    return Fitness(None, math.inf) if figures is None else Fitness(figures)


def sequence_of_optuna(sampler: str, points: Points, *, seed: int, budget: int) -> list[tuple[float, float]]:
    """The same for Optuna's `sampler`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = {
        "optuna-nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed, population_size=POPULATION),
        "optuna-tpe": lambda: optuna.samplers.TPESampler(seed=seed),
    }[sampler]()
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=made)
    seen: list[tuple[float, float]] = []

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = tuple(trial.suggest_categorical(f"a{axis}", list(range(5))) for axis in range(6))
        seen.append(points.get(values, (1.0, 1.0)))
        return seen[-1]

    study.optimize(objective, n_trials=budget)
    return seen


def fractions(found: Callable[[int], list[tuple[float, float]]], seeds: range, whole: float) -> list[list[float]]:
    """For each budget, of each seed."""
    runs = [found(seed) for seed in seeds]
    return [[covered(run[:budget]) / whole for run in runs] for budget in BUDGETS]


def line(name: str, ours: list[list[float]], baseline: list[list[float]]) -> str:
    """One strategy's row."""
    cells = []
    for mine, other in zip(ours, baseline, strict=True):
        above, below = (sum(sign * (a - b) > 0 for a, b in zip(mine, other, strict=True)) for sign in (1, -1))
        cells.append(f"{statistics.mean(mine):.4f} {min(mine):.4f} {above:>2}:{below:<2}")
    return f"{name:<14}" + "   ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, default=TABLE, metavar="TABLE.csv.gz")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--optuna", action="store_true", help="Optuna's NSGA-II and TPE as well; they are slow")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    for device in DEVICES:
        points = scaled(read_table(arguments.table, device))
        whole = covered(list(points.values()))
        print(f"{device}, {len(points):,} cells, {len(seeds)} seeds: mean, least, seeds above : below random search")
        print(f"{'evaluations':<14}" + "".join(f"{budget:<22}" for budget in BUDGETS))
        baseline: list[list[float]] = []
        for name in ("random", *(name for name in strategy_names() if name != "random")):
            found = fractions(
                lambda seed, name=name, points=points: sequence_of(name, points, seed=seed, budget=BUDGETS[-1]),
                seeds,
                whole,
            )
            baseline = baseline or found
            print(line(name, found, baseline), flush=True)
        for name in ("optuna-nsga2", "optuna-tpe") if arguments.optuna else ():
            found = fractions(
                lambda seed, name=name, points=points: sequence_of_optuna(name, points, seed=seed, budget=BUDGETS[-1]),
                seeds,
                whole,
            )
            print(line(name, found, baseline), flush=True)
        print()


if __name__ == "__main__":
    main()
