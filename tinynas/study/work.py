"""What a study runs in child processes: everything that touches TensorFlow, a data set or a foreign model.

Arguments and results are plain data. A child keeps the task it loaded last, so a data set is read once per child.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tinynas.config import FinalSection, TaskSection, TrainSection
from tinynas.model import data
from tinynas.model.augment import Augmentation
from tinynas.space.architecture import Architecture
from tinynas.space.hardware import ActivationBits

# Pruned networks are tuned at a learning rate lower by this factor than that of a training anew.
_TUNING = 0.3


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What the parent needs to know of a task. `sizes` are samples in the train, validation and test split."""

    name: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    digest: str
    source: str
    sizes: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Real inputs and what the host says of them, as bytes: int8 arrays of shape (n, *input_shape) and (n, classes), of
    int16 values with twice as many in the last dimension.
    """

    inputs: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Trained:
    """An int8 network with its accuracies on the validation split, as fractions, and its reference vectors.

    curve: the float network's accuracy after each epoch; stopped: whether it had not come far enough to go on.
    weights: the float network's, for others to start from, where the settings ask for that.
    """

    tflite: bytes
    vectors: Vectors
    method: Literal["ptq", "qat", "pruned"]
    accuracy_float_val: float
    accuracy_ptq_val: float
    accuracy_int8_val: float
    epochs: int
    curve: tuple[float, ...]
    stopped: bool
    weights: bytes | None = None
    seconds: dict[str, float]


def configure() -> None:
    """Prepare a fresh child: import TensorFlow once, one thread, so that a run repeats."""
    from tinynas.model.process import configure_process

    configure_process()


@lru_cache(maxsize=1)
def _task(section: TaskSection, seed: int) -> data.Task:
    return data.load_task(section, seed)


def describe_task(section: TaskSection, seed: int) -> TaskFacts:
    """Load the task and check it. Raises what `model.data.load_task` raises."""
    task = _task(section, seed)
    return TaskFacts(
        name=task.name,
        input_shape=task.input_shape,
        class_names=tuple(task.class_names),
        digest=task.digest,
        source=task.source,
        sizes=(len(task.train.y), len(task.val.y), len(task.test.y)),
    )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One genome, decoded, and the data that it is trained on. `study_seed` is the study's; `key` the genome's;
    `activation_bits`: what the trained network is quantized to.
    """

    task: TaskSection
    study_seed: int
    architecture: Architecture
    key: str
    activation_bits: ActivationBits = 8

    @property
    def seed(self) -> int:
        """Its own seed in [0, 2**31): the same in every run of the study, whatever was evaluated before."""
        digest = hashlib.sha256(f"{self.study_seed}/{self.key}".encode()).digest()
        return int.from_bytes(digest[:4], "little") >> 1


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A trained network that another one starts from; `weights` as `model.inherit.pack_weights` gives them."""

    architecture: Architecture
    weights: bytes


@dataclass(frozen=True, kw_only=True)
class Course:
    """Where a training begins (None: anew), who teaches (None: nobody), how far it may go, and the file that it is kept
    in: `needs` and `state` of `model.train.train`.
    """

    origin: Origin | None = None
    teacher: Origin | None = None
    needs: Mapping[int, float] = field(default_factory=dict)
    state: Path | None = None


def convert_untrained(candidate: Candidate) -> bytes:
    """The int8 network with its initial weights: latency, SRAM and flash do not depend on the weights."""
    from tinynas.model.build import build, settle
    from tinynas.model.quantize import quantize
    from tinynas.model.train import as_input

    x = _task(candidate.task, candidate.study_seed).train.x[:32]
    model = build(candidate.architecture, candidate.seed)
    if candidate.activation_bits == 16:
        # The last activations of a deep network with initial statistics are so small that at a scale of 16 bits the
        # limit of a RELU6 would leave int32.
        settle(model, as_input(x, model.input_shape))
    return quantize(model, x, candidate.activation_bits)


def convert_random(architecture: Architecture, seed: int) -> bytes:
    """The int8 network with initial weights, for random inputs: what it costs can be learned without a task."""
    from tinynas.model.build import build
    from tinynas.model.quantize import quantize

    inputs = np.random.default_rng(seed).random((32, *architecture.input_shape), np.float32)
    return quantize(build(architecture, seed), inputs)


def reference_vectors(section: TaskSection, seed: int, tflite: bytes, samples: int) -> Vectors:
    """The first `samples` validation inputs, quantized, and the outputs that tflite-micro gives for them."""
    from tinynas.model.quantize import quantize_for
    from tinynas.model.score import run_reference

    inputs = quantize_for(tflite, _task(section, seed).val.x[:samples])
    return Vectors(inputs=inputs, outputs=run_reference(tflite, inputs))


def labelled_inputs(
    section: TaskSection, seed: int, tflite: bytes, count: int
) -> tuple[TaskFacts, np.ndarray, np.ndarray]:
    """The first `count` samples of the test split: inputs as bytes, int8, and labels, int64 (n,)."""
    from tinynas.model.quantize import quantize_for

    test = _task(section, seed).test
    return describe_task(section, seed), quantize_for(tflite, test.x[:count]), test.y[:count]


def proxy_scores(candidate: Candidate, samples: int) -> dict[str, float]:
    """The zero-cost proxies of the untrained network on a stratified minibatch of `samples` of the training split."""
    from tinynas.model.build import build
    from tinynas.model.proxies import score_proxies
    from tinynas.model.splits import stratified_subset
    from tinynas.model.train import as_input

    train = _task(candidate.task, candidate.study_seed).train
    chosen = stratified_subset(train.y, samples, candidate.study_seed)
    model = build(candidate.architecture, candidate.seed)
    return score_proxies(model, as_input(train.x[chosen], model.input_shape), train.y[chosen])


def train_candidate(candidate: Candidate, course: Course, samples: int, settings: TrainSection) -> Trained:
    """Train, quantize and score one candidate as int8 on (part of) the validation split, with `samples` vectors."""
    model = _begun(candidate, course.origin)
    return _fit(model, candidate, course, settings, val_samples=settings.val_samples, samples=samples)


def finish_candidate(
    candidate: Candidate, course: Course, samples: int, settings: TrainSection, final: FinalSection
) -> Trained:
    """Train on the whole train split for longer, with the course's teacher; if PTQ loses more than `final.qat_points`,
    keep QAT when better, which simulates activations of 8 bits alone.
    """
    from tinynas.model.quantize import qat
    from tinynas.model.score import score

    # Its weights are kept for those that begin with it or learn from it.
    wanted = final.prune is not None or final.distill is not None
    changes = {"epochs": final.epochs, "patience": final.patience, "samples": None, "inherit": wanted}
    longer = settings.model_copy(update=changes)
    lessons = {} if course.teacher is None else _lessons(candidate, course.teacher, final)
    model = _begun(candidate, course.origin)
    trained = _fit(model, candidate, course, longer, samples=samples, **lessons)
    lost = 100 * (trained.accuracy_float_val - trained.accuracy_ptq_val)
    if candidate.activation_bits == 16 or lost <= final.qat_points:
        return trained
    task, started = _task(candidate.task, candidate.study_seed), time.monotonic()
    aware = qat(
        model,
        task,
        epochs=final.qat_epochs,
        batch_size=settings.batch_size,
        seed=candidate.seed,
        augmentation=_augmentation(candidate.task, settings),
    )
    accuracy = score(aware, task.val.x, task.val.y)
    seconds = {**trained.seconds, "qat": time.monotonic() - started}
    if accuracy <= trained.accuracy_ptq_val:
        return replace(trained, seconds=seconds)
    vectors = reference_vectors(candidate.task, candidate.study_seed, aware, samples)
    return replace(trained, tflite=aware, vectors=vectors, method="qat", accuracy_int8_val=accuracy, seconds=seconds)


def prune_candidate(
    candidate: Candidate, course: Course, samples: int, settings: TrainSection, final: FinalSection
) -> Trained:
    """Take `final.prune` of its channels out of the network that the course begins with, and train on what is left."""
    from tinynas.model.prune import prune

    if course.origin is None or final.prune is None:
        raise ValueError("what is pruned is a trained network, by a fraction")
    whole = _restored(course.origin)
    _, model = prune(whole, candidate.architecture, final.prune)
    changes = {"epochs": final.prune_epochs, "patience": final.prune_epochs, "samples": None, "inherit": False}
    rate = settings.learning_rate * _TUNING
    tuning = settings.model_copy(update={**changes, "learning_rate": rate})
    return replace(_fit(model, candidate, course, tuning, samples=samples), method="pruned")


def _begun(candidate: Candidate, origin: Origin | None) -> Any:
    """The candidate's network, anew or with what it inherits."""
    from tinynas.model.build import build
    from tinynas.model.inherit import inherit, unpack_weights

    model, architecture = build(candidate.architecture, candidate.seed), candidate.architecture
    if origin is not None:
        weights = unpack_weights(origin.weights)
        known = _representative(_task(candidate.task, candidate.study_seed), candidate.seed)
        inherit(model, architecture, weights=weights, origin=origin.architecture, x=known, seed=candidate.seed)
    return model


def _restored(network: Origin) -> Any:
    from tinynas.model.build import build
    from tinynas.model.inherit import restore, unpack_weights

    model = build(network.architecture, seed=0)
    restore(model, unpack_weights(network.weights))
    return model


def _lessons(candidate: Candidate, teacher: Origin, final: FinalSection) -> dict[str, Any]:
    """What `model.train.train` takes of a teacher."""
    from tinynas.model.train import predictor

    x = _task(candidate.task, candidate.study_seed).train.x
    logits = predictor(_restored(teacher))(x)
    return {"teacher_logits": logits, "temperature": final.temperature, "teacher_weight": final.distill}


def _fit(
    model: Any,
    candidate: Candidate,
    course: Course,
    settings: TrainSection,
    *,
    samples: int,
    val_samples: int | None = None,
    **lessons: Any,
) -> Trained:
    """Train a model, quantize and score it."""
    from tinynas.model.inherit import pack_weights
    from tinynas.model.quantize import quantize
    from tinynas.model.score import score
    from tinynas.model.train import train

    task, started = _task(candidate.task, candidate.study_seed), time.monotonic()
    record = train(
        model,
        task,
        epochs=settings.epochs,
        samples=settings.samples,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        patience=settings.patience,
        seed=candidate.seed,
        val_samples=val_samples,
        augmentation=_augmentation(candidate.task, settings),
        needs=course.needs,
        state=course.state,
        **lessons,
    )
    trained = time.monotonic()
    tflite = quantize(model, _representative(task, candidate.seed), candidate.activation_bits)
    accuracy = score(tflite, task.val.x[:val_samples], task.val.y[:val_samples])
    return Trained(
        tflite=tflite,
        vectors=reference_vectors(candidate.task, candidate.study_seed, tflite, samples),
        method="ptq",
        accuracy_float_val=record.val_accuracy_float,
        accuracy_ptq_val=accuracy,
        accuracy_int8_val=accuracy,
        epochs=record.epochs_run,
        curve=tuple(epoch.val_accuracy for epoch in record.history),
        stopped=record.stopped,
        weights=pack_weights(model) if settings.inherit else None,
        seconds={"train": trained - started, "score": time.monotonic() - trained},
    )


def _augmentation(task: TaskSection, settings: TrainSection) -> Augmentation:
    """Series and spectrograms, whose rows are moments, are moved in time alone."""
    columns = 0 if task.kind in ("audio", "series") else settings.shift
    return Augmentation(flip=settings.flip, rows=settings.shift, columns=columns)


def score_test(section: TaskSection, seed: int, tflite: bytes) -> float:
    """Accuracy on the test split, as a fraction. A study calls this once per finalist, at its very end."""
    from tinynas.model.score import score

    task = _task(section, seed)
    return score(tflite, task.test.x, task.test.y)


def _representative(task: data.Task, seed: int) -> np.ndarray:
    chosen = np.random.default_rng(seed).permutation(len(task.train.x))[:256]
    return task.train.x[np.sort(chosen)]
