"""Training weights that all networks of a space share, so that any of them can be scored without training of its own.

Every step trains four networks on one batch by the sandwich rule: the largest on the labels, the smallest and two at
random on what the largest answers. Their gradients are added.

Source: Yu and Huang, "Universally Slimmable Networks and Improved Training Techniques", 2019; Yu et al., "BigNAS:
Scaling Up Neural Architecture Search with Big Single-Stage Models", 2020.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf

from tinynas.errors import ConfigError
from tinynas.model.data import Task
from tinynas.model.shared import Arrays, Part, Shared, forward, layer_parts
from tinynas.model.splits import stratified_subset
from tinynas.model.train import write_arrays
from tinynas.space.architecture import Architecture

_RANDOM_NETWORKS = 2
# Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.
_FIRST_DECAY, _SECOND_DECAY, _EPSILON = 0.9, 0.999, 1e-7
_SAVE_EVERY_S = 20.0

_log = logging.getLogger(__name__)


@dataclass
class Adam:
    """Adam on parts of shared tensors: what a step has no gradient of stays as it is, moments included.

    counts: how often each weight was followed, for which its moments are corrected: with the number of all steps, those
    that few networks have would move several times too far.
    """

    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)
    counts: Arrays = field(default_factory=dict)
    steps: int = 0

    def step(self, shared: Shared, gradients: Sequence[tuple[Part, np.ndarray]], rate: float) -> None:
        """Follow the sum of the gradients of parts, which may overlap, each in its part's shape."""
        totals: Arrays = {}
        parts = {}
        for part, gradient in gradients:
            total = part.of(totals, _zeros)
            total += gradient.reshape(part.shape)
            parts[part.name] = part
        self.steps += 1
        for name, gradient in totals.items():
            part = replace(parts[name], shape=gradient.shape)
            weights = shared.part(part)
            whole = replace(part, shape=shared.arrays[name].shape)
            first, second, counts = (
                part.inside(whole.of(each, _zeros)) for each in (self.first, self.second, self.counts)
            )
            counts += 1
            first += (1 - _FIRST_DECAY) * (gradient - first)
            second += (1 - _SECOND_DECAY) * (gradient * gradient - second)
            corrected = np.sqrt(1 - _SECOND_DECAY**counts) / (1 - _FIRST_DECAY**counts)
            weights -= rate * corrected * first / (np.sqrt(second) + _EPSILON)


@dataclass(frozen=True, kw_only=True)
class _Learner:
    """A network that takes part: `run` is `_gradients` of it; `parts` are those that it has gradients of."""

    network: Architecture
    parts: Sequence[Part]
    run: Callable[..., Any]


@dataclass
class _Progress:
    """A training under way. losses: mean cross-entropy [nats] of the largest network in each epoch."""

    shared: Shared
    adam: Adam = field(default_factory=Adam)
    losses: list[float] = field(default_factory=list)


def train_supernet(
    networks: Sequence[Architecture],
    task: Task,
    *,
    epochs: int,
    samples: int | None = None,
    batch_size: int = 64,
    learning_rate: float = 1e-2,
    seed: int,
    state: Path | None = None,
    save_every_s: float = _SAVE_EVERY_S,
) -> Shared:
    """Train what `networks` share, with Adam on a cosine schedule.

    The largest and the smallest of them take part in each step, by their multiply-accumulates, the others at random.
    `samples`, `state` and `save_every_s` are those of `model.train.train`. Same arguments and machine: same weights.

    Raises:
        ConfigError: a layer has no role, or the loss is no longer finite.
    """
    chosen = stratified_subset(task.train.y, samples, seed)
    batch_size = min(batch_size, len(chosen))
    steps = len(chosen) // batch_size
    x, y = task.train.x[chosen], task.train.y[chosen]
    one_hot = np.eye(len(task.class_names), dtype=np.float32)[y]
    sandwich = _Sandwich(networks)
    progress, saved = _restored(state, seed), time.monotonic()
    for number in range(len(progress.losses) + 1, epochs + 1):
        rng, total = np.random.default_rng([seed, number]), 0.0
        order = rng.permutation(len(chosen))[: steps * batch_size].reshape(steps, batch_size)
        for batch in order:
            gradients, loss = _sandwich_gradients(sandwich.draw(rng), progress.shared, x[batch], one_hot[batch])
            rate = learning_rate * (1 + math.cos(math.pi * progress.adam.steps / (epochs * steps))) / 2
            progress.adam.step(progress.shared, gradients, rate)
            total += loss
        progress.losses.append(total / steps)
        if not math.isfinite(progress.losses[-1]):
            raise ConfigError(f"the supernet's training diverged in epoch {number}: lower [train] learning_rate")
        if state is not None and number < epochs and time.monotonic() - saved >= save_every_s:
            _save(state, progress)
            saved = time.monotonic()
    if state is not None:
        state.unlink(missing_ok=True)
    return progress.shared


class _Sandwich:
    """The networks of each step. The largest and the smallest, which are in all of them, have graphs. Those that are
    drawn run as they come: to trace one takes as long as ten steps with it, and networks that were drawn seldom and
    trained for long learn little that others could use.
    """

    def __init__(self, networks: Sequence[Architecture]) -> None:
        self._networks = sorted(networks, key=lambda network: network.macs)
        ends = self._networks[-1], self._networks[0]
        self._ends = [_learner(each, tf.function(partial(_gradients, each), autograph=False)) for each in ends]

    def draw(self, rng: np.random.Generator) -> list[_Learner]:
        """The largest network, the smallest one, and those drawn."""
        drawn = [self._networks[at] for at in rng.integers(len(self._networks), size=_RANDOM_NETWORKS)]
        return self._ends + [_learner(each, partial(_gradients, each)) for each in drawn]


def _learner(network: Architecture, run: Callable[..., Any]) -> _Learner:
    parts = [part for index in range(len(network.layers)) for part, _ in layer_parts(network, index)]
    return _Learner(network=network, parts=parts, run=run)


def _sandwich_gradients(
    learners: Sequence[_Learner], shared: Shared, x: np.ndarray, one_hot: np.ndarray
) -> tuple[list[tuple[Part, np.ndarray]], float]:
    """Those of all parts of all networks for a batch, and the loss of the first, which teaches the others."""
    found: list[tuple[Part, np.ndarray]] = []
    targets, losses = one_hot, []
    for number, learner in enumerate(learners):
        gradients, loss, answers = learner.run(shared.weights(learner.network), x, targets)
        found += [(part, each.numpy()) for part, each in zip(learner.parts, gradients, strict=True)]
        losses.append(float(loss))
        if number == 0:
            targets = answers
    return found, losses[0]


def _gradients(network: Architecture, weights: Any, x: Any, targets: Any) -> tuple[list[Any], Any, Any]:
    """Gradients of the mean cross-entropy to probabilities `targets` (n, classes), that loss, and the probabilities
    that the network gives.
    """
    weights = tf.nest.map_structure(tf.convert_to_tensor, weights)
    flat = tf.nest.flatten(weights)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(flat)
        logits, _ = forward(network, weights, x)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits))
    return tape.gradient(loss, flat), loss, tf.nn.softmax(logits)


def _zeros(part: Part) -> np.ndarray:
    return np.zeros(part.shape, np.float32)


def _save(path: Path, progress: _Progress) -> None:
    arrays = {f"{kind}:{name}": each for kind, store in _stores(progress).items() for name, each in store.items()}
    steps = np.array(progress.adam.steps)
    write_arrays(path, {**arrays, "losses": np.array(progress.losses), "steps": steps})


def _stores(progress: _Progress) -> dict[str, Arrays]:
    adam = progress.adam
    return {"weights": progress.shared.arrays, "first": adam.first, "second": adam.second, "counts": adam.counts}


def _restored(path: Path | None, seed: int) -> _Progress:
    """The training in the file; a new one where there is none."""
    progress = _Progress(shared=Shared(seed))
    if path is None or not path.is_file():
        return progress
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        progress.losses.extend(float(loss) for loss in arrays.pop("losses"))
        progress.adam.steps = int(arrays.pop("steps"))
        stores = _stores(progress)
        for name, array in arrays.items():
            kind, _, key = name.partition(":")
            stores[kind][key] = array
    except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
        _log.warning("supernet state %s is damaged (%s): the training starts anew", path, error)
        return _Progress(shared=Shared(seed))
    return progress
