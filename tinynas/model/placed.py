"""Samples in a file of their own, as they were read: what a cluster's hosts are given instead of the user's files."""

import hashlib
import json
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tinynas import paths
from tinynas.config import TaskSection
from tinynas.errors import ConfigError, InfrastructureError
from tinynas.files import write_whole
from tinynas.model.samples import Samples

# Of tinynas' home.
FOLDER = Path("data")
_ARRAYS = ("x", "y", "groups", "is_test")


class PlacedTask(TaskSection):
    """[task] with the samples in `file`, relative to tinynas' home, which make a task of this `digest`."""

    file: Path
    digest: str


def place_samples(name: str, samples: Samples) -> Path:
    """Write the samples of task `name` to a file that is named by its content; the file, relative to tinynas' home.

    Raises InfrastructureError: it cannot be written.
    """
    record = {key: getattr(samples, key) for key in ("class_names", "features", "source", "offset", "scale")}
    arrays = {key: value for key in _ARRAYS if (value := getattr(samples, key)) is not None}
    stream = BytesIO()
    np.savez(stream, record=np.frombuffer(json.dumps({"name": name, **record}).encode(), np.uint8), **arrays)
    content = stream.getvalue()
    path = FOLDER / f"{hashlib.sha256(content).hexdigest()}.npz"
    if not (paths.home() / path).is_file():
        try:
            write_whole(paths.home() / path, content)
        except OSError as error:
            raise InfrastructureError(f"data cannot be placed in {paths.home() / FOLDER}: {error.strerror}") from error
    return path


def read_placed(section: PlacedTask) -> tuple[str, Samples]:
    """The task's name and its samples. Raises ConfigError: the file is missing or damaged."""
    path = paths.home() / section.file
    try:
        with np.load(path, allow_pickle=False) as file:
            record = json.loads(file["record"].tobytes())
            arrays = {key: file[key] for key in _ARRAYS if key in file.files}
        name = record.pop("name")
        return name, Samples(**{**record, "class_names": tuple(record["class_names"])}, **arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, BadZipFile) as error:
        raise ConfigError(f"the samples in {path} cannot be read ({error}): remove the file and start again") from error
