"""Training: a whole epoch as one TensorFlow graph, early stopping on the validation split.

`Model.fit` spends a tenth of a small network's time between its steps, and draws the order of samples from global
state; here the order comes from the seed alone.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tinynas.errors import CandidateError
from tinynas.model.data import Task
from tinynas.model.splits import stratified_subset

_PREDICT_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch: mean cross-entropy [nats] on the training samples, accuracy in [0, 1] on validation, seconds."""

    loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrainRecord:
    """How a training went.

    val_accuracy_float: in [0, 1], of the weights that were kept, those of `best_epoch` (counted from 1).
    samples: how many training samples were used.
    """

    epochs_run: int
    best_epoch: int
    val_accuracy_float: float
    history: tuple[Epoch, ...]
    samples: int
    seconds: float


def train(
    model: Any,
    task: Task,
    *,
    epochs: int,
    samples: int | None = None,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    patience: int = 3,
    seed: int,
    val_samples: int | None = None,
) -> TrainRecord:
    """Train `model` in place with Adam on a cosine schedule, and leave it with its best weights.

    The learning rate falls from `learning_rate` to 0 over all `epochs`; training ends early when the validation
    accuracy has not risen for `patience` epochs. `samples` takes a stratified subset of the training split that depends
    on `seed` only, `val_samples` the first of the validation split; None takes all. Same model, task, arguments and
    machine: same weights, provided `configure_process` was called.

    Source: Loshchilov and Hutter, "SGDR", 2017, for the schedule.

    Raises:
        CandidateError: the loss is no longer finite.
    """
    started = time.monotonic()
    chosen = stratified_subset(task.train.y, samples, seed)
    batch_size = min(batch_size, len(chosen))
    steps = len(chosen) // batch_size
    # This Adam is one fused kernel per tensor; the newer class composes it of a dozen operations.
    optimizer = keras.optimizers.legacy.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps))
    inputs = tf.constant(as_input(task.train.x[chosen], model.input_shape))
    labels = tf.constant(task.train.y[chosen])
    run_epoch, predict, rng = _epoch_function(model, optimizer), predictor(model), np.random.default_rng(seed)

    history: list[Epoch] = []
    best_epoch, best_weights = 0, model.get_weights()
    for number in range(1, epochs + 1):
        epoch_started = time.monotonic()
        order = rng.permutation(len(chosen))[: steps * batch_size].reshape(steps, batch_size)
        loss = float(run_epoch(inputs, labels, tf.constant(order)))
        if not math.isfinite(loss):
            raise CandidateError(
                f"training diverged in epoch {number}: its loss is {loss}; lower [train] learning_rate"
            )
        right = predict(task.val.x[:val_samples]).argmax(axis=1) == task.val.y[:val_samples]
        history.append(Epoch(loss=loss, val_accuracy=float(right.mean()), seconds=time.monotonic() - epoch_started))
        if best_epoch == 0 or history[-1].val_accuracy > history[best_epoch - 1].val_accuracy:
            best_epoch, best_weights = number, model.get_weights()
        elif number - best_epoch >= patience:
            break
    model.set_weights(best_weights)
    return TrainRecord(
        epochs_run=len(history),
        best_epoch=best_epoch,
        val_accuracy_float=history[best_epoch - 1].val_accuracy,
        history=tuple(history),
        samples=len(chosen),
        seconds=time.monotonic() - started,
    )


def predictor(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A function from inputs (n, *input_shape) to the float network's logits (n, classes), traced once.

    It sees the model's weights as they are when it is called.
    """
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)]
    traced = tf.function(lambda batch: model(batch, training=False), input_signature=signature, autograph=False)

    def predict(x: np.ndarray) -> np.ndarray:
        x = as_input(x, model.input_shape)
        return np.concatenate([traced(x[i : i + _PREDICT_BATCH]).numpy() for i in range(0, len(x), _PREDICT_BATCH)])

    return predict


def as_input(x: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """`x` (n, ...) as (n, *shape[1:]): a series (time, channels) is the same bytes as (time, 1, channels).

    Raises:
        ValueError: a sample of `x` has another number of values than the network takes.
    """
    if math.prod(x.shape[1:]) != math.prod(int(size or 1) for size in shape[1:]):
        raise ValueError(f"a sample of shape {x.shape[1:]} does not fit the network's input {tuple(shape[1:])}")
    return x.reshape(len(x), *shape[1:])


def _epoch_function(model: Any, optimizer: Any) -> Any:
    """A function of inputs, labels and their order, int64 (steps, batch_size), that trains and returns the mean loss.

    One call for an epoch is a tenth faster than one for a step. The samples are arguments since TensorFlow frees
    neither the functions of a loop nor what they capture: a process keeps some 10 MB of each network it has trained.
    """
    weights = model.trainable_variables

    def step(inputs: Any, labels: Any, indices: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(tf.gather(inputs, indices), training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.gather(labels, indices), logits=logits)
            )
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    def epoch(inputs: Any, labels: Any, order: Any) -> Any:
        steps = order.shape[0]

        def body(index: Any, total: Any) -> Any:
            return index + 1, total + step(inputs, labels, order[index])

        begin = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda index, _: index < steps, body, begin, parallel_iterations=1)[1] / steps

    return tf.function(epoch, autograph=False)
