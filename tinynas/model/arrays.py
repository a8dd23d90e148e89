"""The user's own arrays: an .npz with x and y."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from tinynas.config import TaskSection
from tinynas.errors import ConfigError
from tinynas.model.samples import Samples


def read_npz(path: Path, _: TaskSection) -> Samples:
    """Read `x` (n, ...) and `y` (n,) from an .npz, and where they are there `class_names` (classes,) and `groups` (n,).

    x of uint8 counts as images, (n, height, width) or (n, height, width, channels), scaled as x / 127.5 - 1. Numbers
    of any other type are standardised per value of the last axis with the training split's mean and deviation. y holds
    integers from 0, or names. Samples of one group stay in one split.

    Raises:
        ConfigError: the file is missing, corrupt, holds pickled objects, or lacks x or y.
        ConfigError: x holds no numbers or has no sample axis; y holds neither integers nor names, or is not flat.
    """
    arrays = _load(path)
    for key in ("x", "y"):
        if key not in arrays:
            raise ConfigError(f"{path} has no array {key!r}, only {', '.join(sorted(arrays)) or 'nothing'}")
    x, y = arrays["x"], arrays["y"]
    if x.dtype.kind not in "biuf" or x.ndim < 2:
        raise ConfigError(f"{path}: x is {x.dtype} {x.shape}; numbers of shape (samples, ...) are expected")
    is_image = x.dtype == np.uint8
    if is_image and x.ndim == 3:
        x = x[..., np.newaxis]
    if not 2 <= x.ndim <= 4 or 0 in x.shape[1:]:
        raise ConfigError(f"{path}: a sample of x has shape {x.shape[1:]}; 1 to 3 axes of at least one value expected")
    labels, names = _labels(path, y, arrays.get("class_names"), len(x))
    groups = arrays.get("groups")
    if groups is not None and groups.shape != (len(x),):
        raise ConfigError(f"{path}: groups has shape {groups.shape}, ({len(x)},) is expected")
    return Samples(
        x=x if is_image else x.astype(np.float32),
        y=labels,
        class_names=names,
        features="value of a pixel, 0 to 255" if is_image else f"value of x in {path.name}",
        source=str(path),
        offset=127.5 if is_image else None,
        scale=127.5 if is_image else None,
        groups=None if groups is None else groups.astype(str),
    )


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing")
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ConfigError(f"{path} is a single array; an .npz with x and y is expected: numpy.savez(x=x, y=y)")
            return {key: file[key] for key in ("x", "y", "class_names", "groups") if key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read as .npz: {error}") from error


def _labels(path: Path, y: np.ndarray, names: np.ndarray | None, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    if y.ndim != 1:
        raise ConfigError(f"{path}: y has shape {y.shape}; one label per sample, ({count},), is expected")
    if y.dtype.kind == "U":
        found, labels = np.unique(y, return_inverse=True)
        return labels.astype(np.int64), tuple(str(name) for name in found)
    if y.dtype.kind not in "iu":
        raise ConfigError(f"{path}: y holds {y.dtype}; integers from 0, or names, are expected")
    if names is not None:
        return y.astype(np.int64), tuple(str(name) for name in names.reshape(-1))
    highest = int(y.max()) if len(y) else 0
    if highest >= max(len(y), 2):
        raise ConfigError(f"{path}: y holds the label {highest:,} for {len(y):,} samples; labels count from 0")
    return y.astype(np.int64), tuple(str(label) for label in range(highest + 1))
