"""How well a network does with its part of shared weights, on samples that they were not trained on."""

import numpy as np
import tensorflow as tf

from tinynas.model.shared import Shared, forward
from tinynas.model.splits import stratified_subset
from tinynas.space.architecture import Architecture


def held_out(y: np.ndarray, samples: int | None, seed: int, count: int) -> np.ndarray:
    """Indices, at most `count`, of samples with labels `y` (n,) that a training on `samples` of them from `seed` leaves
    out. Where it leaves out less than a quarter of `count`, they are of those that it takes, too.
    """
    every = np.arange(len(y))
    rest = np.setdiff1d(every, stratified_subset(y, samples, seed))
    return np.random.default_rng(seed).permutation(rest if 4 * len(rest) >= count else every)[:count]


def cross_entropy(shared: Shared, architecture: Architecture, x: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy [nats] of samples `x`, float32 (n, *input_shape), to their labels `y` (n,), with the
    statistics of these samples.

    Raises:
        ConfigError: a layer has no role.
    """
    logits, _ = forward(architecture, shared.weights(architecture), x)
    return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)))
