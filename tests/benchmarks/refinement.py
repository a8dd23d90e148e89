"""Does refinement choose well? Trains random feasible networks of sub-spaces all along its ranking.

    python tests/benchmarks/refinement.py [--task fashion_mnist] [--sub-spaces 5] [--networks 6]

prints each sub-space's compute at the top beside the int8 accuracies of its networks, and their rank correlation. All
are trained by one recipe; limits are those of a small microcontroller.
"""

import argparse
import random

from scipy.stats import spearmanr

from tinynas.boards import load_board
from tinynas.children import Children
from tinynas.config import Config, load_config
from tinynas.deploy.build import baseline
from tinynas.deploy.desks import held_desk
from tinynas.errors import CandidateError
from tinynas.estimate.analytic import estimate_architecture, infeasible_reason
from tinynas.space.genome import random_genome
from tinynas.space.narrow import fixed
from tinynas.space.registry import load_space
from tinynas.study import training, work
from tinynas.study.lab import bounds_of
from tinynas.study.refine import refine
from tinynas.study.subspaces import LEAST_FEASIBLE, SubSpace, written

LIMITS = {"sram": "16 KB", "flash": "64 KB", "latency": "100 ms"}


def candidates(config: Config, part: SubSpace, count: int) -> list[work.Candidate]:
    """Random networks of a sub-space that may meet the limits."""
    board = load_board(config.board.name)
    space, rng = fixed(load_space(config.space.name), part.values), random.Random(1)
    facts = work.describe_task(config.task, 0)
    with held_desk() as desk:
        bounds = bounds_of(config, board, baseline(board, desk, "speed"))
    found: list[work.Candidate] = []
    while len(found) < count:
        genome = random_genome(space, rng)
        try:
            architecture = space.decode(genome, facts.input_shape, len(facts.class_names))
        except CandidateError:
            continue
        if infeasible_reason(estimate_architecture(architecture, board), bounds) is None:
            found.append(work.Candidate(task=config.task, study_seed=0, architecture=architecture, key=genome.key))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="fashion_mnist")
    parser.add_argument("--sub-spaces", type=int, default=5)
    parser.add_argument("--networks", type=int, default=6)
    given = parser.parse_args()
    train = {"samples": 4000, "epochs": 4, "val_samples": 2000}
    config = load_config(
        None, {"task": {"name": given.task}, "space": {"name": "mobilenet"}, "limits": LIMITS, "train": train}
    )
    parts = [part for part in refine(config, (), 200).subspaces if len(part.macs) >= LEAST_FEASIBLE]
    ranked = sorted(parts, key=lambda part: -(part.top_macs or 0))
    steps = given.sub_spaces - 1
    chosen = [ranked[round(index * (len(ranked) - 1) / steps)] for index in range(given.sub_spaces)]
    tops, means = [], []
    print(f"{'sub-space':24} {'top MACs':>10}  int8 accuracy [%]: mean, best, each")
    with Children(1, memory_bytes=int(config.train.memory), prepare=work.configure) as children:
        for part in chosen:
            accuracies = sorted(
                100 * children.call("training", 900, training.train_candidate, each, config.train, 1).accuracy_int8_val
                for each in candidates(config, part, given.networks)
            )
            tops.append(part.top_macs)
            means.append(sum(accuracies) / len(accuracies))
            each = " ".join(f"{accuracy:.1f}" for accuracy in accuracies)
            print(
                f"{written(part.values):24} {part.top_macs:>10,}  {means[-1]:.2f} {accuracies[-1]:.2f}  {each}",
                flush=True,
            )
    print(f"rank correlation of the top with the mean: {spearmanr(tops, means).statistic:.2f}")


if __name__ == "__main__":
    main()
