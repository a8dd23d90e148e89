"""The builtin tasks: Fashion-MNIST (Debian's files, the user's or a download) and scikit-learn's digits."""

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinynas.errors import ConfigError
from tinynas.model.samples import Samples

_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FASHION_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
# 60,000 images of 28 x 28 are 47 MB: a gzip file that claims much more is no MNIST file.
_IDX_LIMIT_BYTES = 1 << 30

PIXELS = "grey level of a pixel, 0 to 255"


@dataclass(frozen=True, kw_only=True)
class Builtin:
    description: str
    read: Callable[[], Samples]


def read_fashion_mnist() -> Samples:
    """Fashion-MNIST: 60,000 + 10,000 images, x uint8 (70000, 28, 28, 1), with its official test split.

    Looked for in `$TINYNAS_DATA/fashion-mnist`, then where Debian's package dataset-fashion-mnist puts it; otherwise
    downloaded by Keras into its own cache.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017.

    Raises:
        ConfigError: a file is missing, truncated or no IDX file.
        ConfigError: no files are there and the download failed.
    """
    folder = _fashion_folder()
    if folder is None:
        (train_x, train_y), (test_x, test_y) = _download_fashion_mnist()
        source = "Keras download"
    else:
        train_x, train_y, test_x, test_y = (read_idx(folder / name) for name in _FASHION_FILES)
        source = str(folder)
    for x, y, where in ((train_x, train_y, "train"), (test_x, test_y, "t10k")):
        if x.ndim != 3 or y.ndim != 1 or len(x) != len(y) or x.shape[1:] != (28, 28):
            raise ConfigError(f"fashion_mnist: {where} images {x.shape} and labels {y.shape} of {source} do not match")
    return Samples(
        x=np.concatenate([train_x, test_x])[..., np.newaxis],
        y=np.concatenate([train_y, test_y]).astype(np.int64),
        class_names=_FASHION_CLASSES,
        features=PIXELS,
        source=source,
        offset=127.5,
        scale=127.5,
        is_test=np.arange(len(train_x) + len(test_x)) >= len(train_x),
    )


def _fashion_folder() -> Path | None:
    own = os.environ.get("TINYNAS_DATA")
    if own and (Path(own) / "fashion-mnist").is_dir():
        return Path(own) / "fashion-mnist"
    return _DEBIAN if _DEBIAN.is_dir() else None


def _download_fashion_mnist() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    from tinynas.model.process import captured_stderr

    try:
        with captured_stderr():
            import tf_keras

            arrays: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] = (
                tf_keras.datasets.fashion_mnist.load_data()
            )
    except Exception as error:
        raise ConfigError(
            f"fashion_mnist is not on this machine and its download failed ({error}): install Debian's package "
            f"dataset-fashion-mnist, or put {', '.join(_FASHION_FILES)} into $TINYNAS_DATA/fashion-mnist"
        ) from error
    return arrays


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array of a gzipped IDX file.

    Source: the format is described with the MNIST database (LeCun, Cortes and Burges).

    Raises:
        ConfigError: the file cannot be read, is truncated, or is no IDX file of unsigned bytes.
    """
    try:
        with gzip.open(path, "rb") as file:
            data = file.read(_IDX_LIMIT_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} is corrupt: {error}") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise ConfigError(f"{path} is no IDX file of unsigned bytes")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    expected = int(np.prod(shape, dtype=object))
    if len(body) != expected:
        raise ConfigError(f"{path} is corrupt: {expected:,} B expected after its header, {len(body):,} B are there")
    return body.reshape(shape)


def read_digits() -> Samples:
    """scikit-learn's digits: 1,797 images, x float32 (1797, 8, 8, 1) in 0..16.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Samples(
        x=bunch.images[..., np.newaxis].astype(np.float32),
        y=bunch.target.astype(np.int64),
        class_names=tuple(str(digit) for digit in range(10)),
        features="ink in a 4 x 4 block of pixels, 0 to 16",
        source="scikit-learn",
        offset=8.0,
        scale=8.0,
    )


BUILTIN = {
    "fashion_mnist": Builtin(
        description="Fashion-MNIST: 70,000 grey images of clothes, 28 x 28, 10 classes", read=read_fashion_mnist
    ),
    "digits": Builtin(description="scikit-learn digits: 1,797 grey images, 8 x 8, 10 classes", read=read_digits),
}
