"""What weights that all networks share say of each: `python tests/benchmarks/supernet.py [mobilenet|image]`.

A supernet is trained for Fashion-MNIST, of space `image`, or of `mobilenet` at half the resolution and half the width,
and random networks that took no part are scored with their part of its weights as int8. Printed are rank correlations
with their accuracy when each is trained alone, by the recipe of `fidelity.py`, and user CPU times; then what some of
them reach when they are trained on from there, and taught by the largest network, beside as many epochs anew.
"""

import math
import random
import statistics
import sys
from typing import Any

from fidelity import CONSTANTS_BYTES, EPOCHS, MACS, SAMPLES, VAL_SAMPLES, timed, trained

from tinynas.config import TaskSection
from tinynas.model.data import Task, load_task
from tinynas.space.architecture import Architecture
from tinynas.space.genome import random_genome
from tinynas.space.narrow import fixed
from tinynas.space.registry import load_space
from tinynas.study.ranking import rank

NETWORKS = 16
POOL = 512
FIXED = {"image": {}, "mobilenet": {"reduce": 2, "width": 50, "stem_stride": 1}}
SUPERNET_EPOCHS, SUPERNET_SAMPLES = 10, 6000
TUNED, TUNING_RATE = 4, 3e-3


def shared_score(shared: Any, architecture: Architecture, task: Task) -> float:
    """int8 accuracy on validation with the weights that are shared."""
    from tinynas.model.quantize import quantize
    from tinynas.model.score import score
    from tinynas.model.shared import extract

    model = extract(shared, architecture, task.train.x[:512])
    tflite = quantize(model, task.train.x[:256])
    return score(tflite, task.val.x[:VAL_SAMPLES], task.val.y[:VAL_SAMPLES])


def networks(name: str, task: Task, count: int) -> list[Architecture]:
    """Random networks that a small microcontroller can run."""
    space, rng, found = fixed(load_space(name), FIXED[name]), random.Random(0), []
    while len(found) < count:
        network = space.decode(random_genome(space, rng), task.input_shape, 10)
        if network.macs <= MACS and network.constants_bytes <= CONSTANTS_BYTES:
            found.append(network)
    return found


def tuned(shared: Any, architecture: Architecture, task: Task, logits: Any) -> float:
    """The same, trained on with a teacher's `logits`, or with none."""
    from tinynas.model.quantize import quantize
    from tinynas.model.score import score
    from tinynas.model.shared import extract
    from tinynas.model.train import train

    model = extract(shared, architecture, task.train.x[:512])
    settings = {"epochs": EPOCHS, "samples": SAMPLES, "patience": EPOCHS, "learning_rate": TUNING_RATE}
    train(model, task, seed=1, val_samples=VAL_SAMPLES, teacher_logits=logits, **settings)
    tflite = quantize(model, task.train.x[:256])
    return score(tflite, task.val.x[:VAL_SAMPLES], task.val.y[:VAL_SAMPLES])


def compare_tuning(
    shared: Any, some: list[Architecture], alone: list[float], largest: Architecture, task: Task
) -> None:
    from tinynas.model.shared import extract
    from tinynas.model.train import predictor

    logits = predictor(extract(shared, largest, task.train.x[:512]))(task.train.x)
    rows = {
        "anew": alone,
        "from shared weights": [tuned(shared, each, task, None) for each in some],
        "from shared weights, taught": [tuned(shared, each, task, logits) for each in some],
    }
    print(f"| {len(some)} networks, {EPOCHS} epochs | int8 accuracy | better : worse |\n|---|---|---|")
    for name, found in rows.items():
        won, lost = (sum(sign * (a - b) > 0 for a, b in zip(found, alone, strict=True)) for sign in (1, -1))
        print(f"| {name} | {statistics.mean(found):.4f} | {won} : {lost} |", flush=True)


def main(name: str) -> None:
    from tinynas.model.process import configure_process
    from tinynas.model.supernet import train_supernet

    configure_process()
    task = load_task(TaskSection(name="fashion_mnist"), 0)
    found = networks(name, task, NETWORKS + POOL)
    some, pool = found[:NETWORKS], found[NETWORKS:]
    settings = {"epochs": SUPERNET_EPOCHS, "samples": SUPERNET_SAMPLES}
    shared, spent = timed(lambda: train_supernet(pool, task, seed=0, **settings))
    print(f"supernet of {len(pool)} networks: {spent:.0f} s of CPU time", file=sys.stderr, flush=True)
    scores, alone = [], []
    for number, each in enumerate(some):
        scores.append(timed(lambda each=each: shared_score(shared, each, task)))
        alone.append(timed(lambda each=each, number=number: trained(each, task, seed=number)[0]))
        print(f"network {number + 1} of {NETWORKS}: {scores[-1]}, {alone[-1]}", file=sys.stderr, flush=True)
    accuracies = [accuracy for accuracy, _ in alone]
    ranks = rank("supernet", [accuracy for accuracy, _ in scores], accuracies)
    macs = rank("macs", [float(each.macs) for each in some], accuracies)
    print(
        f"{NETWORKS} networks alone, {EPOCHS} epochs of {SAMPLES:,} samples: int8 accuracy "
        f"{statistics.mean(accuracies):.4f}"
    )
    print(f"with shared weights: {statistics.mean(accuracy for accuracy, _ in scores):.4f}")
    print("| known | Spearman | Kendall | p |\n|---|---|---|---|")
    for known, each in (("shared weights", ranks), ("multiply-accumulates", macs)):
        print(f"| {known} | {each.spearman:+.2f} | {each.kendall:+.2f} | {each.p_value:.1g} |")
    one, other = (math.fsum(seconds for _, seconds in each) / NETWORKS for each in (scores, alone))
    print(f"CPU time: supernet {spent:.0f} s, then {one:.1f} s a network instead of {other:.1f} s", flush=True)
    largest = max(pool, key=lambda network: network.macs)
    compare_tuning(shared, some[:TUNED], accuracies[:TUNED], largest, task)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mobilenet")
