"""What a study trains in child processes: candidates, finalists, and the weights that a supernet shares."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tinynas import paths
from tinynas.config import Config, FinalSection, TaskSection, TrainSection
from tinynas.estimate.layers import LayerTable
from tinynas.model import data
from tinynas.model.augment import Augmentation
from tinynas.search.strategy import Distribution
from tinynas.space.architecture import Architecture
from tinynas.study import work
from tinynas.study.deployment import network_space

# Pruned networks, and those of a supernet, are tuned at a learning rate lower by this factor than trained anew.
_TUNING = 0.3
# Samples from which a network of a supernet takes its batch statistics.
_RECALIBRATION = 512


def train_candidate(
    candidate: work.Candidate, course: work.Course, samples: int, settings: TrainSection
) -> work.Trained:
    """Train, quantize and score one candidate as int8 on (part of) the validation split, with `samples` vectors."""
    model = _begun(candidate, course.origin)
    return _fit(model, candidate, course, settings, val_samples=settings.val_samples, samples=samples)


def train_shared(
    section: TaskSection,
    seed: int,
    networks: Sequence[Architecture],
    settings: TrainSection,
    *,
    epochs: int,
    state: Path,
) -> bytes:
    """Train what `networks` share; the file that holds it. A training that was cut off is gone on with from `state`."""
    from tinynas.model.shared import pack_shared
    from tinynas.model.supernet import train_supernet

    shared = train_supernet(
        networks,
        work.task_of(section, seed),
        epochs=epochs,
        samples=settings.samples,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=seed,
        state=paths.home() / state,
    )
    return pack_shared(shared)


@lru_cache(maxsize=1)
def _shared(path: Path) -> Any:
    from tinynas.model.shared import read_shared

    return read_shared(paths.home() / path)


def learn_choices(config: Config, path: Path, table: LayerTable) -> Sequence[Distribution]:
    """What strategy `gradient` draws from, learned from the supernet at `path`: see `choices.learned_choices`."""
    from tinynas.study.choices import learned_choices

    seed, task = config.search.seed, work.task_of(config.task, config.search.seed)
    return learned_choices(network_space(config), task, _shared(path), table, samples=config.train.samples, seed=seed)


def _extracted(candidate: work.Candidate, supernet: work.Supernet, architecture: Architecture) -> Any:
    from tinynas.model.shared import extract

    known = work.task_of(candidate.task, candidate.study_seed).train.x[:_RECALIBRATION]
    return extract(_shared(supernet.path), architecture, known)


def score_candidate(
    candidate: work.Candidate, course: work.Course, samples: int, settings: TrainSection
) -> work.Trained:
    """Quantize and score one candidate with its part of the supernet's weights, as `train_candidate` does."""
    from tinynas.model.train import predictor

    if course.supernet is None:
        raise ValueError("what is scored without training has a supernet")
    task, started = work.task_of(candidate.task, candidate.study_seed), time.monotonic()
    model = _extracted(candidate, course.supernet, candidate.architecture)
    x, y = task.val.x[: settings.val_samples], task.val.y[: settings.val_samples]
    accuracy = float((predictor(model)(x).argmax(axis=1) == y).mean())
    return _quantized(
        model,
        candidate,
        samples,
        settings.val_samples,
        accuracy_float_val=accuracy,
        epochs=0,
        curve=(),
        stopped=False,
        seconds={"extract": time.monotonic() - started},
    )


def finish_candidate(
    candidate: work.Candidate, course: work.Course, samples: int, settings: TrainSection, final: FinalSection
) -> work.Trained:
    """Train on the whole train split for longer, with the course's teacher; if PTQ loses more than `final.qat_points`,
    keep QAT when better, which simulates activations of 8 bits alone.
    """
    # Its weights are kept for those that begin with it or learn from it.
    wanted = final.prune is not None or final.distill is not None
    changes = {"epochs": final.epochs, "patience": final.patience, "samples": None, "inherit": wanted}
    longer = settings.model_copy(update=changes)
    teacher = _teacher(candidate, course)
    lessons = {} if teacher is None else _lessons(candidate, teacher, final)
    if course.supernet is None:
        model = _begun(candidate, course.origin)
    else:
        model = _extracted(candidate, course.supernet, candidate.architecture)
        longer = longer.model_copy(update={"learning_rate": settings.learning_rate * _TUNING})
    trained = _fit(model, candidate, course, longer, samples=samples, **lessons)
    lost = 100 * (trained.accuracy_float_val - trained.accuracy_ptq_val)
    if candidate.activation_bits == 16 or lost <= final.qat_points:
        return trained
    return _aware(model, trained, candidate, samples=samples, settings=settings, final=final)


def _teacher(candidate: work.Candidate, course: work.Course) -> Any:
    """Who teaches a finalist, a Keras network; None: nobody."""
    if course.teacher is not None:
        return _restored(course.teacher)
    return None if course.supernet is None else _extracted(candidate, course.supernet, course.supernet.largest)


def _aware(
    model: Any,
    trained: work.Trained,
    candidate: work.Candidate,
    *,
    samples: int,
    settings: TrainSection,
    final: FinalSection,
) -> work.Trained:
    """What was trained, with QAT if that is better."""
    from tinynas.model.quantize import qat
    from tinynas.model.score import score

    task, started = work.task_of(candidate.task, candidate.study_seed), time.monotonic()
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
    vectors = work.reference_vectors(candidate.task, candidate.study_seed, aware, samples)
    return replace(trained, tflite=aware, vectors=vectors, method="qat", accuracy_int8_val=accuracy, seconds=seconds)


def prune_candidate(
    candidate: work.Candidate, course: work.Course, samples: int, settings: TrainSection, final: FinalSection
) -> work.Trained:
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


def _begun(candidate: work.Candidate, origin: work.Origin | None) -> Any:
    """The candidate's network, anew or with what it inherits."""
    from tinynas.model.build import build
    from tinynas.model.inherit import inherit, unpack_weights

    model, architecture = build(candidate.architecture, candidate.seed), candidate.architecture
    if origin is not None:
        weights = unpack_weights(origin.weights)
        known = _representative(work.task_of(candidate.task, candidate.study_seed), candidate.seed)
        inherit(model, architecture, weights=weights, origin=origin.architecture, x=known, seed=candidate.seed)
    return model


def _restored(network: work.Origin) -> Any:
    from tinynas.model.build import build
    from tinynas.model.inherit import restore, unpack_weights

    model = build(network.architecture, seed=0)
    restore(model, unpack_weights(network.weights))
    return model


def _lessons(candidate: work.Candidate, teacher: Any, final: FinalSection) -> dict[str, Any]:
    """What `model.train.train` takes of a teacher, a Keras network."""
    from tinynas.model.train import TEACHER_WEIGHT, predictor

    logits = predictor(teacher)(work.task_of(candidate.task, candidate.study_seed).train.x)
    weight = TEACHER_WEIGHT if final.distill is None else final.distill
    return {"teacher_logits": logits, "temperature": final.temperature, "teacher_weight": weight}


def _fit(
    model: Any,
    candidate: work.Candidate,
    course: work.Course,
    settings: TrainSection,
    *,
    samples: int,
    val_samples: int | None = None,
    **lessons: Any,
) -> work.Trained:
    """Train a model, quantize and score it."""
    from tinynas.model.inherit import pack_weights
    from tinynas.model.train import train

    task, started = work.task_of(candidate.task, candidate.study_seed), time.monotonic()
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
        state=None if course.state is None else paths.home() / course.state,
        **lessons,
    )
    return _quantized(
        model,
        candidate,
        samples,
        val_samples,
        accuracy_float_val=record.val_accuracy_float,
        epochs=record.epochs_run,
        curve=tuple(epoch.val_accuracy for epoch in record.history),
        stopped=record.stopped,
        weights=pack_weights(model) if settings.inherit else None,
        seconds={"train": time.monotonic() - started},
    )


def _quantized(
    model: Any,
    candidate: work.Candidate,
    samples: int,
    val_samples: int | None,
    *,
    seconds: dict[str, float],
    **record: Any,
) -> work.Trained:
    """Quantize and score a model."""
    from tinynas.model.quantize import quantize
    from tinynas.model.score import score

    task, started = work.task_of(candidate.task, candidate.study_seed), time.monotonic()
    tflite = quantize(model, _representative(task, candidate.seed), candidate.activation_bits)
    accuracy = score(tflite, task.val.x[:val_samples], task.val.y[:val_samples])
    return work.Trained(
        tflite=tflite,
        vectors=work.reference_vectors(candidate.task, candidate.study_seed, tflite, samples),
        method="ptq",
        accuracy_ptq_val=accuracy,
        accuracy_int8_val=accuracy,
        seconds={**seconds, "score": time.monotonic() - started},
        **record,
    )


def _augmentation(task: TaskSection, settings: TrainSection) -> Augmentation:
    """Series and spectrograms, whose rows are moments, are moved in time alone."""
    columns = 0 if task.kind in ("audio", "series") else settings.shift
    return Augmentation(flip=settings.flip, rows=settings.shift, columns=columns)


def _representative(task: data.Task, seed: int) -> np.ndarray:
    chosen = np.random.default_rng(seed).permutation(len(task.train.x))[:256]
    return task.train.x[np.sort(chosen)]
