"""What a study runs in child processes: everything that touches TensorFlow, a data set or a foreign model.

Arguments and results are plain data. A child keeps the task it loaded last, so a data set is read once per child.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from tinynas.config import TaskSection
from tinynas.model import data
from tinynas.space.architecture import Architecture
from tinynas.space.hardware import ActivationBits

# Of tinynas' home: the trainings under way, which a study that was killed goes on with, and supernets.
STATES = Path("training")


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
class Quantized:
    """An int8 network and its reference vectors."""

    tflite: bytes
    vectors: Vectors


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
def task_of(section: TaskSection, seed: int) -> data.Task:
    return data.load_task(section, seed)


def describe_task(section: TaskSection, seed: int) -> TaskFacts:
    """Load the task and check it. Raises what `model.data.load_task` raises."""
    task = task_of(section, seed)
    return TaskFacts(
        name=task.name,
        input_shape=task.input_shape,
        class_names=tuple(task.class_names),
        digest=task.digest,
        source=task.source,
        sizes=(len(task.train.y), len(task.val.y), len(task.test.y)),
    )


def describe_and_place(section: TaskSection, seed: int, place: bool) -> tuple[TaskFacts, Path | None]:
    """As `describe_task`; if `place` also the file for others that `model.data.place_task` writes."""
    return describe_task(section, seed), data.place_task(section) if place else None


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
class Supernet:
    """A file of weights that networks share, relative to tinynas' home, and the largest network."""

    path: Path
    largest: Architecture


@dataclass(frozen=True, kw_only=True)
class Course:
    """Where a training begins (None: anew), who teaches (None: nobody), how far it may go, and the file that it is kept
    in, relative to tinynas' home: `needs` and `state` of `model.train.train`. What belongs to a supernet begins with
    its weights instead, and its largest network teaches where nobody else does.
    """

    origin: Origin | None = None
    supernet: Supernet | None = None
    teacher: Origin | None = None
    needs: Mapping[int, float] = field(default_factory=dict)
    state: Path | None = None


def convert_untrained(candidate: Candidate, samples: int) -> Quantized:
    """With initial weights and `samples` vectors: latency, SRAM and flash do not depend on the weights."""
    from tinynas.model.build import build, settle
    from tinynas.model.quantize import quantize
    from tinynas.model.train import as_input

    x = task_of(candidate.task, candidate.study_seed).train.x[:32]
    model = build(candidate.architecture, candidate.seed)
    if candidate.activation_bits == 16:
        # The last activations of a deep network with initial statistics are so small that at a scale of 16 bits the
        # limit of a RELU6 would leave int32.
        settle(model, as_input(x, model.input_shape))
    tflite = quantize(model, x, candidate.activation_bits)
    vectors = reference_vectors(candidate.task, candidate.study_seed, tflite, samples)
    return Quantized(tflite=tflite, vectors=vectors)


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

    inputs = quantize_for(tflite, task_of(section, seed).val.x[:samples])
    return Vectors(inputs=inputs, outputs=run_reference(tflite, inputs))


def labelled_inputs(
    section: TaskSection, seed: int, tflite: bytes, count: int
) -> tuple[TaskFacts, np.ndarray, np.ndarray]:
    """The first `count` samples of the test split: inputs as bytes, int8, and labels, int64 (n,)."""
    from tinynas.model.quantize import quantize_for

    test = task_of(section, seed).test
    return describe_task(section, seed), quantize_for(tflite, test.x[:count]), test.y[:count]


def proxy_scores(candidate: Candidate, samples: int) -> dict[str, float]:
    """The zero-cost proxies of the untrained network on a stratified minibatch of `samples` of the training split."""
    from tinynas.model.build import build
    from tinynas.model.proxies import score_proxies
    from tinynas.model.splits import stratified_subset
    from tinynas.model.train import as_input

    train = task_of(candidate.task, candidate.study_seed).train
    chosen = stratified_subset(train.y, samples, candidate.study_seed)
    model = build(candidate.architecture, candidate.seed)
    return score_proxies(model, as_input(train.x[chosen], model.input_shape), train.y[chosen])


def score_test(section: TaskSection, seed: int, tflite: bytes) -> float:
    """Accuracy on the test split, as a fraction. A study calls this once per finalist, at its very end."""
    from tinynas.model.score import score

    task = task_of(section, seed)
    return score(tflite, task.test.x, task.test.y)
