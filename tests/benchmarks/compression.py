"""What pruning channels and learning from a teacher buy a finished network: `python tests/benchmarks/compression.py
[SEEDS]`.

Networks of space `image` for Fashion-MNIST are trained; pruned and tuned, with the labels alone and with what they
were as a teacher; and the pruned shape is trained anew for as many epochs in sum. Of the networks of a seed the most
accurate one then teaches the others. Printed are accuracies of the float networks on the 10,000 samples of the test
split, the standard error of the paired differences, user CPU time, and what pruning saves on an emulated netduinoplus2.
Seeds run at once, a process each.
"""

import random
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from fidelity import timed
from measured import measured_cost

from tinynas import paths
from tinynas.boards import load_board
from tinynas.compiler import compile_network
from tinynas.config import TaskSection
from tinynas.cost import Cost
from tinynas.device.bench import Bench, open_bench
from tinynas.model.data import Task, load_task
from tinynas.space.architecture import Architecture
from tinynas.space.genome import random_genome
from tinynas.space.registry import load_space
from tinynas.study import work
from tinynas.study.desks import held_desk

NETWORKS, SEEDS = 4, 3
MACS, CONSTANTS_BYTES = (300_000, 1_000_000), 64_000
SAMPLES, VAL_SAMPLES, EPOCHS, TUNING_EPOCHS = 6000, 2000, 8, 4
LEARNING_RATE, TUNING_RATE = 1e-2, 3e-3
FRACTIONS = (0.25, 0.5)
# What -> accuracy in [0, 1] and user CPU time [s].
Row = dict[str, tuple[float, float]]


def networks(task: Task) -> list[Architecture]:
    space, rng = load_space("image", None), random.Random(0)
    found: list[Architecture] = []
    while len(found) < NETWORKS:
        architecture = space.decode(random_genome(space, rng), task.input_shape, 10)
        if MACS[0] <= architecture.macs <= MACS[1] and architecture.constants_bytes <= CONSTANTS_BYTES:
            found.append(architecture)
    return found


def fit(model: Any, task: Task, *, epochs: int, seed: int, **more: Any) -> tuple[float, float]:
    """Train, and return accuracy on the test split and user CPU time [s]."""
    from tinynas.model.train import predictor, train

    settings = {"learning_rate": LEARNING_RATE, "samples": SAMPLES, "val_samples": VAL_SAMPLES, **more}
    _, spent = timed(lambda: train(model, task, epochs=epochs, patience=epochs, seed=seed, **settings))
    return float(np.mean(predictor(model)(task.test.x).argmax(axis=1) == task.test.y)), spent


def pruned(model: Any, architecture: Architecture, task: Task, seed: int, row: Row) -> None:
    """Prune a trained network and tune it, and train its shape anew."""
    from tinynas.model.build import build
    from tinynas.model.prune import prune
    from tinynas.model.train import predictor

    logits = predictor(model)(task.train.x)
    tuning = {"epochs": TUNING_EPOCHS, "learning_rate": TUNING_RATE, "seed": seed}
    for fraction in FRACTIONS:
        name = f"{fraction:.0%} pruned"
        smaller, once = prune(model, architecture, fraction)
        row[f"{name}, tuned"] = fit(once, task, **tuning)
        _, again = prune(model, architecture, fraction)
        row[f"{name}, tuned, itself the teacher"] = fit(again, task, teacher_logits=logits, **tuning)
        row[f"{name}, that shape anew"] = fit(build(smaller, seed), task, epochs=EPOCHS + TUNING_EPOCHS, seed=seed)


def compare(seed: int) -> list[Row]:
    """A row for each network; the most accurate one has no teacher."""
    from tinynas.model.build import build
    from tinynas.model.train import predictor

    task = load_task(TaskSection(name="fashion_mnist"), 0)
    architectures = networks(task)
    rows: list[Row] = [{} for _ in architectures]
    best, logits = 0.0, np.zeros(0)
    for architecture, row in zip(architectures, rows, strict=True):
        model = build(architecture, seed)
        row["trained"] = fit(model, task, epochs=EPOCHS, seed=seed)
        if row["trained"][0] > best:
            best, logits = row["trained"][0], predictor(model)(task.train.x)
        pruned(model, architecture, task, seed, row)
    for architecture, row in zip(architectures, rows, strict=True):
        if row["trained"][0] < best:
            row["with a teacher"] = fit(
                build(architecture, seed), task, epochs=EPOCHS, seed=seed, teacher_logits=logits
            )
    return rows


def show(rows: Sequence[Row], name: str, reference: str) -> None:
    paired = [(row[name], row[reference]) for row in rows if name in row]
    gains = [found[0] - other[0] for found, other in paired]
    error = statistics.stdev(gains) / len(gains) ** 0.5
    accuracy, spent = (statistics.mean(found[place] for found, _ in paired) for place in (0, 1))
    won, lost = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    print(
        f"| {name} | {accuracy:.2%} | {reference} | {100 * statistics.mean(gains):+.2f} ± {100 * error:.2f} "
        f"| {won} : {lost} | {spent:.1f} |"
    )


def measured(architecture: Architecture, desk: Path, bench: Bench) -> Cost:
    board, tflite = load_board("netduinoplus2"), work.convert_random(architecture, 0)
    program = compile_network(tflite, target=board.target, constants=board.constants)
    return measured_cost(tflite, program, board, desk, bench)


def show_costs(architectures: Sequence[Architecture]) -> None:
    """What the pruned networks need, in parts of what the whole ones do."""
    from tinynas.model.prune import narrowed

    print("| pruned | multiply-accumulates | latency | SRAM | flash |\n|---|---|---|---|---|")
    with open_bench(load_board("netduinoplus2"), directory=paths.home() / "bench") as bench, held_desk() as desk:
        whole = [measured(each, desk, bench) for each in architectures]
        for fraction in FRACTIONS:
            small = [narrowed(each, fraction) for each in architectures]
            parts = [statistics.mean(less.macs / each.macs for less, each in zip(small, architectures, strict=True))]
            costs = [measured(each, desk, bench) for each in small]
            for figure in ("latency_us", "sram_bytes", "flash_bytes"):
                pairs = [(less.figure(figure), cost.figure(figure)) for less, cost in zip(costs, whole, strict=True)]
                parts.append(statistics.mean(less / cost for less, cost in pairs if less and cost))
            print(f"| {fraction:.0%} | {' | '.join(f'{part:.2f}' for part in parts)} |", flush=True)


def main(seeds: int) -> None:
    rows: list[Row] = []
    with ProcessPoolExecutor(seeds, get_context("spawn"), work.configure) as processes:
        for found in processes.map(compare, range(seeds)):
            rows += found
            print(found, file=sys.stderr, flush=True)
    print("| | accuracy | beside | points | better : worse | CPU time [s] |\n|---|---|---|---|---|---|")
    show(rows, "with a teacher", "trained")
    for fraction in FRACTIONS:
        name = f"{fraction:.0%} pruned"
        show(rows, f"{name}, tuned", "trained")
        show(rows, f"{name}, that shape anew", "trained")
        for way in ("tuned", "tuned, itself the teacher"):
            show(rows, f"{name}, {way}", f"{name}, that shape anew")
    work.configure()
    show_costs(networks(load_task(TaskSection(name="fashion_mnist"), 0)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
