"""What pruning channels and learning from a teacher buy a finished network: `python tests/benchmarks/compression.py
[SEEDS]`.

Networks of space `image` for Fashion-MNIST are trained; pruned and tuned, with the labels alone and with what they
were as a teacher; and the pruned shape is trained anew for as many epochs in sum. Of the networks of a seed the most
accurate one then teaches the others. Printed are accuracies of the float networks on the 10,000 samples of the test
split, the standard error of the paired differences, user CPU time, and what pruning saves on an emulated netduinoplus2.
"""

import random
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
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
from tinynas.deploy.desks import held_desk
from tinynas.device.bench import Bench, open_bench
from tinynas.model.data import Task, load_task
from tinynas.space.architecture import Architecture
from tinynas.space.genome import random_genome
from tinynas.space.registry import load_space
from tinynas.study import work

NETWORKS, SEEDS, PROCESSES = 4, 2, 8
MACS, CONSTANTS_BYTES = (300_000, 1_000_000), 64_000
SAMPLES, VAL_SAMPLES, EPOCHS, TUNING_EPOCHS = 3000, 1000, 6, 3
LEARNING_RATE, TUNING_RATE = 1e-2, 3e-3
PRUNED, COSTED = 0.25, (0.25, 0.5)
# What -> accuracy in [0, 1] and user CPU time [s].
Row = dict[str, tuple[float, float]]


@lru_cache(maxsize=1)
def fashion() -> Task:
    return load_task(TaskSection(name="fashion_mnist"), 0)


def networks() -> list[Architecture]:
    space, rng = load_space("image", None), random.Random(0)
    found: list[Architecture] = []
    while len(found) < NETWORKS:
        architecture = space.decode(random_genome(space, rng), fashion().input_shape, 10)
        if MACS[0] <= architecture.macs <= MACS[1] and architecture.constants_bytes <= CONSTANTS_BYTES:
            found.append(architecture)
    return found


def fit(model: Any, *, epochs: int, seed: int, **more: Any) -> tuple[float, float]:
    """Train, and return accuracy on the test split and user CPU time [s]."""
    from tinynas.model.train import predictor, train

    task, settings = fashion(), {"learning_rate": LEARNING_RATE, "samples": SAMPLES, "val_samples": VAL_SAMPLES, **more}
    _, spent = timed(lambda: train(model, task, epochs=epochs, patience=epochs, seed=seed, **settings))
    return float(np.mean(predictor(model)(task.test.x).argmax(axis=1) == task.test.y)), spent


def prune_and_train(number: int, seed: int) -> tuple[Row, np.ndarray]:
    """One network in all its forms but the taught one, and its logits of the training split."""
    from tinynas.model.build import build
    from tinynas.model.prune import prune
    from tinynas.model.train import predictor

    architecture = networks()[number]
    model = build(architecture, seed)
    row = {"trained": fit(model, epochs=EPOCHS, seed=seed)}
    logits = predictor(model)(fashion().train.x)
    for name, more in (("tuned", {}), ("tuned, itself the teacher", {"teacher_logits": logits})):
        smaller, pruned = prune(model, architecture, PRUNED)
        row[name] = fit(pruned, epochs=TUNING_EPOCHS, learning_rate=TUNING_RATE, seed=seed, **more)
    row["that shape anew"] = fit(build(smaller, seed), epochs=EPOCHS + TUNING_EPOCHS, seed=seed)
    return row, logits


def teach(number: int, seed: int, logits: np.ndarray) -> tuple[float, float]:
    from tinynas.model.build import build

    return fit(build(networks()[number], seed), epochs=EPOCHS, seed=seed, teacher_logits=logits)


def compare(seeds: int) -> list[Row]:
    """A row for each network and seed; the most accurate one of a seed has no teacher."""
    cells = [(number, seed) for seed in range(seeds) for number in range(NETWORKS)]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), work.configure) as processes:
        found = dict(zip(cells, processes.map(prune_and_train, *zip(*cells, strict=True)), strict=True))
        rows = {cell: row for cell, (row, _) in found.items()}
        best = [max(range(NETWORKS), key=lambda number: rows[number, seed]["trained"]) for seed in range(seeds)]
        taught = [(number, seed) for number, seed in cells if number != best[seed]]
        lessons = [(*cell, found[best[cell[1]], cell[1]][1]) for cell in taught]
        for cell, result in zip(taught, processes.map(teach, *zip(*lessons, strict=True)), strict=True):
            rows[cell]["with a teacher"] = result
    return list(rows.values())


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
        for fraction in COSTED:
            small = [narrowed(each, fraction) for each in architectures]
            parts = [statistics.mean(less.macs / each.macs for less, each in zip(small, architectures, strict=True))]
            costs = [measured(each, desk, bench) for each in small]
            for figure in ("latency_us", "sram_bytes", "flash_bytes"):
                pairs = [(less.figure(figure), cost.figure(figure)) for less, cost in zip(costs, whole, strict=True)]
                parts.append(statistics.mean(less / cost for less, cost in pairs if less and cost))
            print(f"| {fraction:.0%} | {' | '.join(f'{part:.2f}' for part in parts)} |", flush=True)


def main(seeds: int) -> None:
    rows = compare(seeds)
    print("| | accuracy | beside | points | better : worse | CPU time [s] |\n|---|---|---|---|---|---|")
    show(rows, "with a teacher", "trained")
    for name in ("tuned", "tuned, itself the teacher", "that shape anew"):
        show(rows, name, "trained")
    for name in ("tuned", "tuned, itself the teacher"):
        show(rows, name, "that shape anew")
    work.configure()
    show_costs(networks())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
