"""Accuracy on a board: samples of a task's test split, run by the board and by the host, and compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinynas.children import call_in_child
from tinynas.compiler import Program
from tinynas.config import Config, load_config
from tinynas.device.measure import require_equal
from tinynas.errors import ConfigError, WrongOutputError
from tinynas.study import work
from tinynas.study.store import Store
from tinynas.study.summary import config_of

_DEFAULT_SAMPLES = 100
_TIMEOUT_S = 1800.0


@dataclass(frozen=True, kw_only=True)
class LabelledInputs:
    """The first of a test split, which is in random order.

    inputs: int8 (n, *input_shape), as the network takes them; labels: int64 (n,); of: samples in the whole split.
    dtype: the type of the network's output values, of which the largest wins.
    """

    task: str
    digest: str
    inputs: np.ndarray
    labels: np.ndarray
    of: int
    dtype: str

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """The labels, int64 (n,), that outputs as bytes, int8 (n, ...), stand for. Of equal values the first wins."""
        values: np.ndarray = np.ascontiguousarray(outputs.reshape(len(self.inputs), -1)).view(self.dtype)
        largest: np.ndarray = values.argmax(axis=1)
        return largest

    def accuracy(self, outputs: np.ndarray) -> float:
        """The fraction of right answers."""
        return float(np.mean(self.answers(outputs) == self.labels))

    def require_equal(self, outputs: np.ndarray, expected: np.ndarray, board: str) -> None:
        """Compare what a board and tflite-micro computed, as bytes.

        Raises:
            WrongOutputError: a byte differs; the message says how many, how many labels, and both accuracies.
        """
        try:
            require_equal(outputs, expected, board)
        except WrongOutputError as error:
            labels = np.count_nonzero(self.answers(outputs) != self.answers(expected))
            raise WrongOutputError(
                f"{error}; {labels:,} of {len(self.labels):,} labels differ: accuracy {self.accuracy(outputs):.2%} on "
                f"{board}, {self.accuracy(expected):.2%} on the host"
            ) from error

    def to_json(self, outputs: np.ndarray, expected: np.ndarray) -> dict[str, Any]:
        """What `tinynas measure --accuracy --json` prints, with the Wilson interval of 95 % (Wilson, "Probable
        Inference, the Law of Succession, and Statistical Inference", 1927), which says how little few samples tell.
        """
        from scipy.stats import binomtest

        answers = self.answers(outputs)
        correct = int(np.count_nonzero(answers == self.labels))
        interval = binomtest(correct, len(answers)).proportion_ci(0.95, method="wilson")
        return {
            "task": self.task,
            "task_digest": self.digest,
            "split": "test",
            "samples": len(answers),
            "samples_in_split": self.of,
            "correct": correct,
            "board": self.accuracy(outputs),
            "host": self.accuracy(expected),
            "low_95": float(interval.low),
            "high_95": float(interval.high),
            "labels_that_differ": int(np.count_nonzero(answers != self.answers(expected))),
        }


def read_labelled_inputs(task: str, count: int | None, tflite: bytes, program: Program) -> LabelledInputs:
    """The first `count` samples of a task's test split; None: 100, or all where there are fewer.

    Args:
        task: a builtin task, whose split is drawn with seed 0; or a study, or a TOML file with [task] and [search]
            seed, for the split that its networks were not trained on.

    Raises:
        ConfigError: the task cannot be loaded, has fewer samples, or is another one than the network's.
        MalformedModelError: the network's input is no int8.
    """
    config = _config(task)
    facts, inputs, labels = call_in_child(
        f"loading {task}",
        _TIMEOUT_S,
        int(config.train.memory),
        work.labelled_inputs,
        config.task,
        config.search.seed,
        tflite,
        count or _DEFAULT_SAMPLES,
    )
    _require_fit(program, facts)
    of = facts.sizes[2]
    if count is not None and count > of:
        raise ConfigError(f"--samples {count:,}: the test split of {facts.name} has {of:,}")
    return LabelledInputs(
        task=facts.name,
        digest=facts.digest,
        inputs=inputs,
        labels=labels,
        of=of,
        dtype=program.outputs[0].dtype,
    )


def _config(task: str) -> Config:
    path = Path(task)
    if path.suffix == ".db":
        with Store.open_to_read(path) as store:
            return config_of(store)
    return load_config(path) if path.suffix == ".toml" else load_config(None, {"task": {"name": task}})


def _require_fit(program: Program, facts: work.TaskFacts) -> None:
    """Whether the network takes this task's samples and tells its classes apart. A series (time, channels) is the same
    bytes as (time, 1, channels), so that sizes of 1 do not count.
    """
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise ConfigError(
            f"--accuracy needs one input and one output, the network has {len(program.inputs)} and "
            f"{len(program.outputs)}"
        )
    (source,), (result,) = program.inputs, program.outputs
    if [size for size in source.shape if size != 1] != [size for size in facts.input_shape if size != 1]:
        raise ConfigError(
            f"the network takes {'x'.join(map(str, source.shape))}, a sample of {facts.name} is "
            f"{'x'.join(map(str, facts.input_shape))}: was it trained on another task?"
        )
    values = result.bytes // np.dtype(result.dtype).itemsize
    if values != len(facts.class_names):
        raise ConfigError(f"the network gives {values:,} values, {facts.name} has {len(facts.class_names):,} classes")
