"""The losses by which strategy `gradient` learns what to search: accuracy with shared weights, latency by a table."""

import math
import random
from collections.abc import Sequence
from functools import cache

import numpy as np

from tinynas.errors import CandidateError
from tinynas.estimate.layers import LayerTable
from tinynas.model.data import Task
from tinynas.model.shared import Shared
from tinynas.model.shared_loss import cross_entropy, held_out
from tinynas.search.gradient import ROUNDS, learn_distributions
from tinynas.search.strategy import Distribution
from tinynas.space.architecture import Architecture
from tinynas.space.genome import Genome, Space, random_genome

# The loss of a round is the mean over so many samples; a latency is set against the mean of so many networks.
_SAMPLES = 128
_NETWORKS = 100


def learned_choices(
    space: Space, task: Task, shared: Shared, table: LayerTable, *, samples: int | None, seed: int
) -> Sequence[Distribution]:
    """Those of `search.gradient.learn_distributions`. `shared`: weights that were trained on `samples` from `seed`.

    The loss is on training samples that the weights were not trained on, where there are enough of them: the validation
    split is what candidates are judged by.
    """
    chosen = held_out(task.train.y, samples, seed, ROUNDS * _SAMPLES)
    rounds = np.array_split(chosen, ROUNDS)

    def network(genome: Genome) -> Architecture | None:
        try:
            return space.decode(genome, task.input_shape, len(task.class_names))
        except CandidateError:
            return None

    @cache
    def loss(genome: Genome, number: int) -> float:
        found, batch = network(genome), rounds[number]
        return math.inf if found is None else cross_entropy(shared, found, task.train.x[batch], task.train.y[batch])

    @cache
    def latency_us(genome: Genome) -> float:
        found = network(genome)
        return math.inf if found is None else table.latency_us(found)

    rng = random.Random(seed)
    typical = [latency_us(random_genome(space, rng)) for _ in range(_NETWORKS)]
    mean_us = float(np.mean([each for each in typical if math.isfinite(each)]))
    return list(learn_distributions(space, loss, lambda genome: latency_us(genome) / mean_us, seed))
