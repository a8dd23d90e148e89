"""What a reader of data hands on: labelled arrays as they are in the files, checked."""

from dataclasses import dataclass

import numpy as np

from tinynas.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Raw samples before they are split and scaled.

    x: (n, *input_shape), uint8 or float32. y: int64 (n,) in [0, classes). groups: str (n,), what must not straddle two
    splits, or None. is_test: bool (n,), the official test split, or None. The network's input is
    (x - offset) / scale per value of the last axis; None means mean and deviation of the training split.
    `features` says in words what a value of x is; `source` where the samples come from.
    """

    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...]
    features: str
    source: str
    offset: float | None = None
    scale: float | None = None
    groups: np.ndarray | None = None
    is_test: np.ndarray | None = None


def check(samples: Samples, what: str) -> None:
    """Refuse what no network can be trained on; `what` names the data in messages.

    Raises:
        ConfigError: x and y differ in length, or there are no samples.
        ConfigError: there are fewer than two classes, or a class with no samples, or a label out of range.
        ConfigError: a value is NaN or infinite.
    """
    x, y, names = samples.x, samples.y, samples.class_names
    if len(x) != len(y):
        raise ConfigError(f"{what}: {len(x):,} samples and {len(y):,} labels; there must be one label for each sample")
    if len(x) == 0:
        raise ConfigError(f"{what}: there are no samples")
    wrong = np.flatnonzero((y < 0) | (y >= max(len(names), 1)))
    if len(wrong):
        allowed = f"0..{len(names) - 1}" if names else "from 0 up"
        raise ConfigError(f"{what}: label {y[wrong[0]]} of sample {wrong[0]} is out of range {allowed}")
    if len(names) < 2:
        raise ConfigError(f"{what}: {len(names)} class; a classifier needs at least 2")
    counts = np.bincount(y, minlength=len(names))
    if (counts == 0).any():
        empty = ", ".join(names[index] for index in np.flatnonzero(counts == 0))
        raise ConfigError(f"{what}: no samples of class {empty}: add some, or remove the class")
    if x.dtype.kind == "f":
        finite = np.isfinite(x.reshape(len(x), -1)).all(axis=1)
        if not finite.all():
            bad = np.flatnonzero(~finite)
            raise ConfigError(f"{what}: {len(bad):,} samples hold NaN or infinity, the first is sample {bad[0]}")
