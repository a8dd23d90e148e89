"""What stopping trainings early saves: `python tests/benchmarks/acceleration.py [NETWORKS]`.

Random networks of space `image` for Fashion-MNIST are trained once, to the end, with their learning curves. A training
that is stopped has the same curve up to there, so that a random search over these networks can be replayed under each
rule exactly, in as many orders as one likes. Objectives are the error and the multiply-accumulates. Printed are means
over the orders: the user CPU time of a whole search, the part of the front's hypervolume that it found, how many
trainings were stopped, and the CPU time that the search without a rule takes to the same hypervolume.
"""

import math
import random
import statistics
import sys
from dataclasses import dataclass

from fidelity import EPOCHS, networks, timed, trained

from tinynas.config import SearchSection, StopSection, TaskSection
from tinynas.cost import Cost
from tinynas.model.data import load_task
from tinynas.search.fitness import hypervolume, non_dominated
from tinynas.study.stopping import least_accuracies
from tinynas.study.store import Trial

NETWORKS = 48
SAMPLES = 6000
ORDERS = 20
AHEAD = 6
SEARCH = SearchSection(objectives=("error", "latency_us"))
RULES = {
    "none": StopSection(),
    "halving, half after 2 and 4": StopSection(rule="halving", first_epochs=2, reduction=2),
    "halving, half after 1, 2 and 4": StopSection(rule="halving", first_epochs=1, reduction=2),
    "halving, a third after 1 and 3": StopSection(rule="halving", first_epochs=1, reduction=3),
    "curve": StopSection(rule="curve", first_epochs=1),
}


@dataclass(frozen=True, kw_only=True)
class Known:
    """A network that was trained to the end: `seconds` of user CPU time for each epoch, and `fixed_s` for the rest."""

    trial: Trial
    error: float
    seconds: tuple[float, ...]
    fixed_s: float


def train_all(count: int) -> list[Known]:
    task, known = load_task(TaskSection(name="fashion_mnist"), 0), []
    for number, (architecture, _) in enumerate(networks(task, count)):
        (accuracy, record), spent = timed(lambda a=architecture, n=number: trained(a, task, seed=n, samples=SAMPLES))
        # Epochs were timed by the clock, the training by the CPU.
        share = record.seconds / math.fsum(epoch.seconds for epoch in record.history)
        seconds = tuple(epoch.seconds * share for epoch in record.history)
        trial = Trial(
            number=number,
            genome=f"image:{number}",
            state="complete",
            cost=Cost(latency_us=float(architecture.macs)),
            accuracy_float_val=record.val_accuracy_float,
            curve=tuple(epoch.val_accuracy for epoch in record.history),
        )
        known.append(Known(trial=trial, error=1 - accuracy, seconds=seconds, fixed_s=spent - record.seconds))
        print(f"network {number + 1} of {count}: {accuracy:.3f}", file=sys.stderr, flush=True)
    return known


def replay(known: list[Known], stop: StopSection) -> tuple[list[float], list[tuple[float, float]], int]:
    """Cumulated CPU time [s] and points (error, MACs) in the order of the search, and how many were stopped.

    A network that was stopped counts as not found, since how accurate it is as int8 was not tried.
    """
    told: list[Trial] = []
    times, points, stopped, total = [], [], 0, 0.0
    for number, each in enumerate(known):
        cost = each.trial.judged_on or Cost()
        needs = least_accuracies(stop, SEARCH, EPOCHS, cost, told[: max(0, number - AHEAD + 1)])
        curve = each.trial.curve
        at = next((epoch for epoch in sorted(needs) if max(curve[:epoch]) < needs[epoch]), None)
        total += each.fixed_s + math.fsum(each.seconds[:at])
        times.append(total)
        stopped += at is not None
        points.append((each.error if at is None else 1.0, cost.latency_us or 0.0))
        changes = {} if at is None else {"curve": curve[:at], "reason": "stopped"}
        told.append(Trial(**{**vars(each.trial), **changes}))
    return times, points, stopped


def volumes(points: list[tuple[float, float]], worst: tuple[float, float]) -> list[float]:
    """The hypervolume after each point, objectives in parts of the worst."""
    scaled = [(error / worst[0], macs / worst[1]) for error, macs in points]
    return [
        hypervolume([scaled[index] for index in non_dominated(scaled[: end + 1])], (1.0, 1.0))
        for end in range(len(scaled))
    ]


def main(count: int) -> None:
    from tinynas.model.process import configure_process

    configure_process()
    known = train_all(count)
    worst = max(each.error for each in known), max(each.trial.cost.latency_us for each in known if each.trial.cost)
    print("| rule | stopped | CPU time [s] | hypervolume | without a rule to the same [s] |\n|---|---|---|---|---|")
    for name, stop in RULES.items():
        rows = []
        for seed in range(ORDERS):
            order = random.Random(seed).sample(known, len(known))
            plain_times, plain_points, _ = replay(order, RULES["none"])
            plain = volumes(plain_points, worst)
            times, points, stopped = replay(order, stop)
            found = volumes(points, worst)[-1]
            reached = next(time for time, volume in zip(plain_times, plain, strict=True) if volume >= found - 1e-12)
            rows.append((stopped / count, times[-1], found / plain[-1], reached))
        stopped, spent, found, reached = (statistics.mean(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {stopped:.0%} | {spent:.0f} | {found:.4f} | {reached:.0f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NETWORKS)
