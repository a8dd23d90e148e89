"""Training: a whole epoch as one TensorFlow graph, early stopping on the validation split.

`Model.fit` spends a tenth of a small network's time between its steps, and draws the order of samples from global
state; here the order comes from the seed alone.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tinynas.errors import CandidateError
from tinynas.model.augment import NO_AUGMENTATION, Augmentation, augment
from tinynas.model.data import Task
from tinynas.model.splits import stratified_subset

# For their smallest students Hinton et al. found 2.5 to 4 best.
TEMPERATURE = 4.0
TEACHER_WEIGHT = 0.5

_PREDICT_BATCH = 500
# A state is written at most so often: its few MB should cost less than what a kill would lose.
_SAVE_EVERY_S = 20.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch: mean loss [nats] on the training samples, accuracy in [0, 1] on validation, seconds."""

    loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrainRecord:
    """How a training went.

    val_accuracy_float: in [0, 1], of the weights that were kept, those of `best_epoch` (counted from 1).
    samples: how many training samples were used.
    stopped: whether `needs` ended it.
    """

    epochs_run: int
    best_epoch: int
    val_accuracy_float: float
    history: tuple[Epoch, ...]
    samples: int
    seconds: float
    stopped: bool = False


@dataclass
class _Progress:
    """A training under way: its epochs, the best of them (0: none yet), and the weights of that one."""

    best_weights: list[np.ndarray]
    best_epoch: int = 0
    history: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> float:
        return self.history[self.best_epoch - 1].val_accuracy if self.best_epoch else -1.0

    def add(self, epoch: Epoch, model: Any) -> None:
        self.history.append(epoch)
        if epoch.val_accuracy > self.best:
            self.best_epoch, self.best_weights = len(self.history), model.get_weights()

    def record(self, samples: int, *, stopped: bool, seconds: float) -> TrainRecord:
        return TrainRecord(
            epochs_run=len(self.history),
            best_epoch=self.best_epoch,
            val_accuracy_float=self.best,
            history=tuple(self.history),
            samples=samples,
            seconds=seconds,
            stopped=stopped,
        )


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
    augmentation: Augmentation = NO_AUGMENTATION,
    teacher_logits: np.ndarray | None = None,
    temperature: float = TEMPERATURE,
    teacher_weight: float = TEACHER_WEIGHT,
    needs: Mapping[int, float] | None = None,
    state: Path | None = None,
    save_every_s: float = _SAVE_EVERY_S,
) -> TrainRecord:
    """Train `model` in place with Adam on a cosine schedule, and leave it with its best weights.

    The learning rate falls from `learning_rate` to 0 over all `epochs`; training ends early when the validation
    accuracy has not risen for `patience` epochs. `samples` takes a stratified subset of the training split that depends
    on `seed` only, `val_samples` the first of the validation split; None takes all. Same model, task, arguments and
    machine: same weights, provided `configure_process` was called.

    augmentation: how training samples are changed, differently in every step.
    teacher_logits: float32 (samples of the whole training split, classes), of a teacher that saw the samples as they
        are. The loss then is (1 - `teacher_weight`) times the labels' cross-entropy plus `teacher_weight`, in [0, 1],
        times that to the teacher's softened probabilities and `temperature` squared, so that the weight means the same
        at every temperature.
    needs: epoch -> what the best validation accuracy must have come to by then for the training to go on.
    state: file that the training is kept in from time to time, and continued from where it is there, with the same
        result; it must be of a training with the same arguments. The end removes it.

    Source: Loshchilov and Hutter, "SGDR", 2017, for the schedule; Hinton et al., "Distilling the Knowledge in a Neural
    Network", 2015, for teachers.

    Raises:
        ValueError: `teacher_logits` is not of the training split's size and the network's classes.
        CandidateError: the loss is no longer finite.
    """
    started = time.monotonic()
    chosen = stratified_subset(task.train.y, samples, seed)
    batch_size = min(batch_size, len(chosen))
    steps = len(chosen) // batch_size
    # This Adam is one fused kernel per tensor; the newer class composes it of a dozen operations.
    optimizer = keras.optimizers.legacy.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps))
    inputs = tf.constant(as_input(task.train.x[chosen], model.input_shape))
    targets, loss_of = [tf.constant(task.train.y[chosen])], _label_loss
    if teacher_logits is not None:
        _require_logits(teacher_logits, (len(task.train.y), model.output_shape[-1]))
        targets += [tf.nn.softmax(tf.constant(teacher_logits[chosen], tf.float32) / temperature)]
        loss_of = _teacher_loss(temperature, teacher_weight)
    run_epoch = _epoch_function(model, optimizer, _seer(optimizer, augmentation, seed), loss_of)
    predict, rng = predictor(model), np.random.default_rng(seed)

    def one_epoch(order: np.ndarray) -> Epoch:
        begun = time.monotonic()
        loss = float(run_epoch(inputs, targets, tf.constant(order)))
        right = predict(task.val.x[:val_samples]).argmax(axis=1) == task.val.y[:val_samples]
        return Epoch(loss=loss, val_accuracy=float(right.mean()), seconds=time.monotonic() - begun)

    progress, saved = _restored(state, model, optimizer), time.monotonic()
    stopped = False
    for number in range(1, epochs + 1):
        order = rng.permutation(len(chosen))[: steps * batch_size].reshape(steps, batch_size)
        if number > len(progress.history):
            progress.add(_finite(one_epoch(order), number), model)
        stopped = progress.best < (needs or {}).get(number, 0.0)
        if stopped or number - progress.best_epoch >= patience:
            break
        if state is not None and number < epochs and time.monotonic() - saved >= save_every_s:
            _save(state, model, optimizer, progress)
            saved = time.monotonic()
    model.set_weights(progress.best_weights)
    if state is not None:
        state.unlink(missing_ok=True)
    return progress.record(len(chosen), stopped=stopped, seconds=time.monotonic() - started)


def _finite(epoch: Epoch, number: int) -> Epoch:
    if not math.isfinite(epoch.loss):
        raise CandidateError(
            f"training diverged in epoch {number}: its loss is {epoch.loss}; lower [train] learning_rate"
        )
    return epoch


def _save(path: Path, model: Any, optimizer: Any, progress: _Progress) -> None:
    arrays: dict[str, Any] = {
        "history": np.array([astuple(epoch) for epoch in progress.history]),
        "best_epoch": np.array(progress.best_epoch),
        **{f"weights_{number}": each for number, each in enumerate(model.get_weights())},
        **{f"optimizer_{number}": each for number, each in enumerate(optimizer.get_weights())},
        **{f"best_{number}": each for number, each in enumerate(progress.best_weights)},
    }
    write_arrays(path, arrays)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """A .npz file in place of what is there, at once, so that a kill leaves the old one or the new one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("wb") as file:
        np.savez(file, **arrays)
    draft.replace(path)


def _restored(path: Path | None, model: Any, optimizer: Any) -> _Progress:
    """The training in the file, with the model and the optimizer as they were; a new one where there is none."""
    progress = _Progress(best_weights=model.get_weights())
    if path is None or not path.is_file():
        return progress
    # Its slots exist from the first step on, or from here.
    optimizer._create_all_weights(model.trainable_variables)
    try:
        # NumPy leaves a damaged file open that it has opened itself.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            weights, slots, best = (
                [file[f"{name}_{number}"] for number in range(len(like))]
                for name, like in (
                    ("weights", progress.best_weights),
                    ("optimizer", optimizer.get_weights()),
                    ("best", progress.best_weights),
                )
            )
            history = [Epoch(loss=row[0], val_accuracy=row[1], seconds=row[2]) for row in file["history"].tolist()]
            best_epoch = int(file["best_epoch"])
        if not 1 <= best_epoch <= len(history):
            raise ValueError(f"its best epoch is {best_epoch} of {len(history)}")
        model.set_weights(best)
        model.set_weights(weights)
        optimizer.set_weights(slots)
    except (ValueError, KeyError, TypeError, IndexError, OSError, EOFError, BadZipFile) as error:
        _log.warning("training state %s is damaged (%s): the training starts anew", path, error)
        model.set_weights(progress.best_weights)
        optimizer.set_weights([np.zeros_like(each) for each in optimizer.get_weights()])
        return progress
    return _Progress(best_weights=best, best_epoch=best_epoch, history=history)


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


def _require_logits(logits: np.ndarray, shape: tuple[int, int]) -> None:
    if logits.shape != shape:
        raise ValueError(f"teacher_logits have shape {logits.shape}, the training split and its classes {shape}")


def _label_loss(logits: Any, labels: Any) -> Any:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def _teacher_loss(temperature: float, weight: float) -> Callable[..., Any]:
    """A loss of logits, labels and the teacher's softened probabilities."""

    def loss(logits: Any, labels: Any, soft: Any) -> Any:
        to_teacher = tf.nn.softmax_cross_entropy_with_logits(labels=soft, logits=logits / temperature)
        return (1 - weight) * _label_loss(logits, labels) + weight * temperature**2 * tf.reduce_mean(to_teacher)

    return loss


def _seer(optimizer: Any, augmentation: Augmentation, seed: int) -> Callable[[Any], Any]:
    """How a batch is seen. The optimizer's steps are kept with a training, so that one that goes on sees the same."""
    return lambda batch: augment(batch, augmentation, tf.stack([tf.cast(seed, tf.int64), optimizer.iterations]))


def _epoch_function(model: Any, optimizer: Any, see: Callable[[Any], Any], loss_of: Callable[..., Any]) -> Any:
    """A function of inputs, targets and their order, int64 (steps, batch_size), that trains and returns the mean loss,
    which is `loss_of` the logits of what is seen of the inputs, and the targets.

    One call for an epoch is a tenth faster than one for a step. The samples are arguments since TensorFlow frees
    neither the functions of a loop nor what they capture: a process keeps some 10 MB of each network it has trained.
    """
    weights = model.trainable_variables

    def step(inputs: Any, targets: list[Any], indices: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(see(tf.gather(inputs, indices)), training=True)
            loss = loss_of(logits, *(tf.gather(each, indices) for each in targets))
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    def epoch(inputs: Any, targets: list[Any], order: Any) -> Any:
        steps = order.shape[0]

        def body(index: Any, total: Any) -> Any:
            return index + 1, total + step(inputs, targets, order[index])

        begin = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda index, _: index < steps, body, begin, parallel_iterations=1)[1] / steps

    return tf.function(epoch, autograph=False)
