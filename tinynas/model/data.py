"""Tasks: labelled samples in disjoint training, validation and test splits, scaled for int8.

Disjoint means: whole groups (speakers, subjects) lie in one split where groups are known, and identical samples lie in
one split always. An official test split is used as it is, and training samples that it contains are dropped.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinynas.boards import nearest
from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model import splits
from tinynas.model.arrays import read_npz
from tinynas.model.audio import read_audio
from tinynas.model.builtin import BUILTIN
from tinynas.model.images import read_images
from tinynas.model.placed import PlacedTask, place_samples, read_placed
from tinynas.model.samples import Samples, check
from tinynas.model.series import read_series

_READERS: dict[str, Callable[[Path, TaskSection], Samples]] = {
    "npz": read_npz,
    "images": read_images,
    "audio": read_audio,
    "series": read_series,
}


@dataclass(frozen=True, kw_only=True)
class Split:
    """x: float32 (n, *input_shape), what the network takes; y: int64 (n,) in [0, classes).

    Samples come in random order: the first so many are a fair sample of them all.
    """

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set, ready to train on.

    input_shape: (height, width, channels), (time, channels) or (values,).
    offset, scale: one value each, or one per value of the last axis: x = (raw - offset) / scale.
    digest: SHA-256 (hex) of the raw samples, the labels, the class names and the splits.
    source: where the data came from. features: what a raw value is. dropped: samples left out since an identical one
    lies in a later split.
    """

    name: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    digest: str
    source: str
    features: str
    dropped: int


def task_names() -> dict[str, str]:
    """The builtin tasks: name -> one-line description."""
    return {name: builtin.description for name, builtin in BUILTIN.items()}


def load_task(section: TaskSection, seed: int) -> Task:
    """Read, check, split and scale the data of `section`. Same files, section and seed: same task.

    Raises:
        ConfigError: the builtin task is not known, or its files are not there.
        ConfigError: the data cannot be read or used; the message names the file.
        ConfigError: there are too few samples, or groups, for three splits.
        ConfigError: samples that were placed are not those of the task's digest.
    """
    name, samples = _read(section)
    check(samples, name if section.path is None else f"{name} ({section.path})")
    contents = splits.content_ids(samples.x)
    split = _assign(samples, contents, section, seed, name)
    dropped = splits.straddlers(contents, split)
    rng = np.random.default_rng(seed)
    members = [
        rng.permutation(np.flatnonzero((split == number) & ~dropped))
        for number in (splits.TRAIN, splits.VAL, splits.TEST)
    ]
    for number, indices in enumerate(members):
        missing = set(range(len(samples.class_names))) - set(np.unique(samples.y[indices]).tolist())
        if missing:
            absent = ", ".join(samples.class_names[label] for label in sorted(missing))
            raise ConfigError(f"{name}: the {splits.NAMES[number]} split has no sample of class {absent}: add samples")
    offset, scale = _scaling(samples, members[splits.TRAIN])
    train, val, test = (
        Split(x=((samples.x[indices] - offset) / scale).astype(np.float32), y=samples.y[indices]) for indices in members
    )
    digest = _digest(samples, members)
    if isinstance(section, PlacedTask) and digest != section.digest:
        raise ConfigError(
            f"{name}: the samples that were placed here make a task of digest {digest[:12]}, {section.digest[:12]} was "
            f"expected: remove {section.file} from tinynas' home"
        )
    return Task(
        name=name,
        input_shape=samples.x.shape[1:],
        class_names=samples.class_names,
        train=train,
        val=val,
        test=test,
        offset=tuple(float(value) for value in offset),
        scale=tuple(float(value) for value in scale),
        digest=digest,
        source=samples.source,
        features=samples.features,
        dropped=int(dropped.sum()),
    )


def place_task(section: TaskSection) -> Path:
    """Write the samples of `section` to a file that others can load the task from, relative to tinynas' home. Raises as
    `load_task`, and InfrastructureError.
    """
    return place_samples(*_read(section))


def _read(section: TaskSection) -> tuple[str, Samples]:
    if isinstance(section, PlacedTask):
        return read_placed(section)
    if section.kind == "builtin":
        if section.name not in BUILTIN:
            raise ConfigError(f"task {section.name!r} is not known: {nearest(section.name, list(BUILTIN))}")
        return section.name, BUILTIN[section.name].read()
    if section.path is None:
        raise ConfigError(f"a task of kind {section.kind!r} needs a path")
    name = section.path.stem if section.name in BUILTIN else section.name
    return name, _READERS[section.kind](section.path, section)


def _assign(samples: Samples, contents: np.ndarray, section: TaskSection, seed: int, name: str) -> np.ndarray:
    """The split of each sample. With an official test split, only the validation split is cut from the rest."""
    if section.val_fraction + section.test_fraction >= 0.9:
        raise ConfigError(
            f"{name}: val_fraction {section.val_fraction} and test_fraction {section.test_fraction} leave less than a "
            "tenth of the samples for training: lower them"
        )
    rest = np.arange(len(samples.y)) if samples.is_test is None else np.flatnonzero(~samples.is_test)
    test_fraction = section.test_fraction if samples.is_test is None else 0.0
    split = np.full(len(samples.y), splits.TEST, np.int8)
    try:
        if samples.groups is None:
            split[rest] = splits.stratified_split(
                samples.y[rest], contents[rest], section.val_fraction, test_fraction, seed
            )
        else:
            split[rest] = splits.grouped_split(
                samples.y[rest], samples.groups[rest], section.val_fraction, test_fraction, seed
            )
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    return split


def _scaling(samples: Samples, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale as float32: given ones, or mean and standard deviation of the training samples per channel.

    A channel that does not vary keeps scale 1, so that it becomes 0.
    """
    if samples.offset is not None and samples.scale is not None:
        return np.array([samples.offset], np.float32), np.array([samples.scale], np.float32)
    values = samples.x[train].reshape(-1, samples.x.shape[-1]).astype(np.float64)
    deviation = values.std(axis=0)
    return values.mean(axis=0).astype(np.float32), np.where(deviation > 0, deviation, 1.0).astype(np.float32)


def _digest(samples: Samples, members: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for text in (*samples.class_names, str(samples.x.dtype), str(samples.x.shape)):
        digest.update(text.encode() + b"\0")
    for array in (samples.x, samples.y, *members):
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
        digest.update(b"\0")
    return digest.hexdigest()
