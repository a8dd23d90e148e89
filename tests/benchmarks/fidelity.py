"""What can be known of a network before it is trained to the end: `python tests/benchmarks/fidelity.py [NETWORKS]`.

Random networks of space image for Fashion-MNIST are trained as a search would and scored as int8. Printed are rank
correlations with that accuracy: of zero-cost proxies, of the same training cut short, of less data, of a lower
resolution, and of another seed, which no proxy can be expected to exceed; with user CPU time of the child, in parts of
the whole training's.
"""

import math
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinynas.config import TaskSection
from tinynas.model.data import Split, Task, load_task
from tinynas.model.splits import stratified_subset
from tinynas.space.architecture import Architecture
from tinynas.space.genome import random_genome
from tinynas.space.registry import load_space
from tinynas.study.ranking import rank

NETWORKS = 32
EPOCHS, SAMPLES, VAL_SAMPLES = 8, 3000, 2000
MACS, CONSTANTS_BYTES = 600_000, 32_000
MINIBATCH = 64
Known = dict[str, tuple[float, float]]


def networks(task: Task, count: int) -> list[tuple[Architecture, Architecture]]:
    """Random networks that a small microcontroller can run, each with its twin for half the resolution."""
    space, rng = load_space("image", None), random.Random(0)
    found = []
    while len(found) < count:
        genome = random_genome(space, rng)
        full, half = (space.decode(genome, shape, 10) for shape in (task.input_shape, (14, 14, 1)))
        if full.macs <= MACS and full.constants_bytes <= CONSTANTS_BYTES:
            found.append((full, half))
    return found


def halved(task: Task) -> Task:
    """Images averaged over 2 x 2 pixels."""

    def half(split: Split) -> Split:
        return Split(x=split.x.reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4)), y=split.y)

    return replace(task, input_shape=(14, 14, 1), train=half(task.train), val=half(task.val))


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the user CPU time that it took [s]."""
    started = time.process_time()
    return function(), time.process_time() - started


def trained(architecture: Architecture, task: Task, *, seed: int, **settings: Any) -> tuple[float, Any]:
    """int8 accuracy on validation, and how the training went, its seconds in user CPU time."""
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize
    from tinynas.model.score import score
    from tinynas.model.train import train

    model = build(architecture, seed)
    chosen = {"epochs": EPOCHS, "samples": SAMPLES, "patience": EPOCHS, **settings}
    record, spent = timed(lambda: train(model, task, learning_rate=1e-2, seed=seed, val_samples=VAL_SAMPLES, **chosen))
    record = replace(record, seconds=spent)
    tflite = quantize(model, task.train.x[:256])
    return score(tflite, task.val.x[:VAL_SAMPLES], task.val.y[:VAL_SAMPLES]), record


def known_of(full: Architecture, half: Architecture, task: Task, small: Task, number: int) -> Known:
    """What -> (score, user CPU time [s]); "int8 accuracy" is what all others are set against."""
    from tinynas.model.build import build
    from tinynas.model.proxies import PROXIES, score_proxies

    chosen = stratified_subset(task.train.y, MINIBATCH, 0)
    (accuracy, record), seconds = timed(lambda: trained(full, task, seed=number))
    known: Known = {"int8 accuracy": (accuracy, seconds)}
    scores, spent = timed(lambda: score_proxies(build(full, number), task.train.x[chosen], task.train.y[chosen]))
    known |= {name: (scores[name], spent / len(PROXIES)) for name in PROXIES}
    known["parameters"] = float(sum(layer.weights for layer in full.layers)), 0.0
    known["macs"] = float(full.macs), 0.0
    for epoch in (1, 2, 4):
        known[f"epoch {epoch} of {EPOCHS}"] = record.history[epoch - 1].val_accuracy, seconds * epoch / EPOCHS
    variants: dict[str, Callable[[], tuple[float, Any]]] = {
        "2 epochs": lambda: trained(full, task, seed=number, epochs=2),
        f"{SAMPLES // 4} samples": lambda: trained(full, task, seed=number, samples=SAMPLES // 4),
        "14 x 14 pixels": lambda: trained(half, small, seed=number),
        "another seed": lambda: trained(full, task, seed=number + 10_000),
    }
    for name, variant in variants.items():
        (score, _), spent = timed(variant)
        known[name] = score, spent
    return known


def main(count: int) -> None:
    from tinynas.model.process import configure_process

    configure_process()
    task = load_task(TaskSection(name="fashion_mnist"), 0)
    small, rows = halved(task), []
    for number, (full, half) in enumerate(networks(task, count)):
        rows.append(known_of(full, half, task, small, number))
        print(f"network {number + 1} of {count}: {rows[-1]['int8 accuracy'][0]:.3f}", file=sys.stderr, flush=True)
    accuracies = [row["int8 accuracy"][0] for row in rows]
    whole = math.fsum(row["int8 accuracy"][1] for row in rows)
    print(
        f"{count} networks, int8 accuracy {min(accuracies):.3f} to {max(accuracies):.3f}, "
        f"median {np.median(accuracies):.3f}, {whole / count:.1f} s of CPU time each"
    )
    print("| known | Spearman | Kendall | p | CPU time |\n|---|---|---|---|---|")
    for name in rows[0]:
        found = rank(name, [row[name][0] for row in rows], accuracies)
        part = math.fsum(row[name][1] for row in rows) / whole
        print(f"| {name} | {found.spearman:+.2f} | {found.kendall:+.2f} | {found.p_value:.1g} | {part:.3f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS)
