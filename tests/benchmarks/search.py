"""Every strategy on a table of trained networks, at equal budgets: `python tests/benchmarks/search.py [TABLE.csv.gz]`.

TABLE is a table of NAS-Bench-201 cells with int8 accuracies and latencies; tests/benchmarks/search_small.py reads it.
Printed is the fraction of the whole front's hypervolume after so many evaluations, mean over the seeds and the least of
them. Error and latency are in parts of their range over the table, the reference is the worst of both. Beside the mean
stands on how many seeds the strategy was above random search and on how many below, of equal seeds, and "worse" where
it was below on so many that chance would do so less than once in twenty (sign test, two-sided).

Goals: nsga2 with the predictor, the default, reaches 0.985 by 100 evaluations and 0.995 by 200, and at 50 it is not
worse than random search.
"""

import argparse
import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from scipy.stats import binomtest
from search_small import Grid, read_sizes, read_table
from threadpoolctl import threadpool_limits

from tinynas.search.fitness import Fitness, hypervolume, non_dominated
from tinynas.search.registry import guided_names, make_strategy, strategy_names
from tinynas.space.genome import Genome

TABLE = Path(__file__).resolve().parents[3] / "shared" / "nasbench" / "nb201_int8.csv.gz"
DEVICES = ("raspi4", "pixel3", "fpga")
BUDGETS = (50, 100, 200, 400)
OBJECTIVES = ("error", "latency_us")
# As by default.
POPULATION = 12
# So many candidates are under way at once, as in a search with two workers and a board.
AHEAD = 6
Points = dict[tuple[int, ...], tuple[float, float]]
Sizes = dict[tuple[int, ...], tuple[float, float]]


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


def sequence_of(strategy: str, points: Points, sizes: Sizes, *, seed: int, budget: int) -> list[tuple[float, float]]:
    """What the strategy evaluated, in order. Sizes are known before anything is evaluated, as in a study."""
    name, plus, _ = strategy.partition("+predictor")
    searching = make_strategy(
        name,
        Grid(*[5] * 6, ordered=False),
        seed=seed,
        population=POPULATION,
        objectives=("error", "latency_us"),
        predictor=bool(plus),
        features=lambda genome: sizes[genome.values],
    )
    waiting: deque[Genome] = deque()
    seen: list[tuple[float, float]] = []
    while len(seen) < budget:
        while len(waiting) < AHEAD and (genome := searching.ask()):
            waiting.append(genome)
        fitness = fitness_of(waiting[0], points)
        searching.tell(waiting.popleft(), fitness)
        seen.append(fitness.objectives or (1.0, 1.0))  # type: ignore[arg-type]
    return seen


def fitness_of(genome: Genome, points: Points) -> Fitness:
    """A cell that was not measured is one that failed."""
    figures = points.get(genome.values)
    return Fitness(None, math.inf) if figures is None else Fitness(figures)


def sequence_of_optuna(sampler: str, points: Points, _: Sizes, *, seed: int, budget: int) -> list[tuple[float, float]]:
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


def fractions(pool: Executor, strategy: str, points: Points, sizes: Sizes, seeds: range) -> list[list[float]]:
    """Of the whole front's hypervolume: for each budget, of each seed. Strategies with a predictor stop at 200: they
    have found nearly all by then, and take seconds a run.
    """
    budgets = [budget for budget in BUDGETS if budget <= 200 or "+predictor" not in strategy]
    sequence = sequence_of_optuna if strategy.startswith("optuna") else sequence_of
    runs = list(pool.map(partial(run, sequence, strategy, points, sizes, budgets[-1]), seeds))
    whole = covered(list(points.values()))
    return [[covered(found[:budget]) / whole for found in runs] for budget in budgets]


def run(
    sequence: Callable[..., list[tuple[float, float]]],
    strategy: str,
    points: Points,
    sizes: Sizes,
    budget: int,
    seed: int,
) -> Any:
    """One search, in a process of its own."""
    return sequence(strategy, points, sizes, seed=seed, budget=budget)


def line(name: str, ours: list[list[float]], baseline: list[list[float]]) -> str:
    """One strategy's row."""
    cells = []
    for mine, other in zip(ours, baseline, strict=False):
        above, below = (sum(sign * (a - b) > 0 for a, b in zip(mine, other, strict=True)) for sign in (1, -1))
        is_worse = below > above and binomtest(below, above + below).pvalue < 0.05
        cells.append(f"{statistics.mean(mine):.4f} {min(mine):.4f} {above:>2}:{below:<2}{' worse' if is_worse else ''}")
    return f"{name:<17}" + "   ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, default=TABLE, metavar="TABLE.csv.gz")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these alone, the first one as the baseline")
    parser.add_argument("--devices", nargs="+", default=DEVICES, metavar="DEVICE")
    parser.add_argument("--optuna", action="store_true", help="Optuna's NSGA-II and TPE as well; they are slow")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    # A table has no weights for gradient to learn from.
    names = ["random", *(name for name in strategy_names() if name not in ("random", "gradient"))]
    names += [f"{name}+predictor" for name in guided_names()]
    names += ["optuna-nsga2", "optuna-tpe"] if arguments.optuna else []
    sizes = read_sizes(arguments.table)
    with ProcessPoolExecutor(initializer=one_thread) as pool:
        for device in arguments.devices:
            points = scaled(read_table(arguments.table, device))
            print(
                f"{device}, {len(points):,} cells, {len(seeds)} seeds: mean, least, seeds above : below random search"
            )
            print(f"{'evaluations':<17}" + "".join(f"{budget:<22}" for budget in BUDGETS))
            baseline: list[list[float]] = []
            for name in arguments.only or names:
                found = fractions(pool, name, points, sizes, seeds)
                baseline = baseline or found
                print(line(name, found, baseline), flush=True)
            print()


def one_thread() -> None:
    """A process for each core, so one thread in each."""
    threadpool_limits(1)


if __name__ == "__main__":
    main()
