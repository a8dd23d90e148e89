"""What decides the bits of a result beside its inputs: tinynas itself, libraries, the CPU."""

import hashlib
import os
import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tinynas import paths

# What decides the bits of a training, beside tinynas.
_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow-model-optimization", "tflite-micro", "numpy")


@lru_cache(maxsize=1)
def program() -> str:
    """The SHA-256 of tinynas' own sources and of the firmware's."""
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, paths.FIRMWARE):
        for path in sorted(each for each in folder.rglob("*") if each.suffix in {".py", ".c", ".h", ".cpp", ".ld"}):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def manifests() -> str:
    """The SHA-256 of the boards' manifests."""
    digest = hashlib.sha256()
    for path in sorted(paths.BOARDS.glob("*.json")):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def libraries() -> dict[str, str]:
    """The versions of the libraries that a training's result depends on."""
    return {name: version(name) for name in _LIBRARIES}


@lru_cache(maxsize=1)
def arithmetic() -> dict[str, Any]:
    """What sums of floats depend on: libraries, what steers them, and the CPU's instructions."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else [platform.processor()]
    kinds = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))} or set(lines[:1]))
    return {
        "libraries": libraries(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(("TF_", "XLA_"))},
        "cpu": [platform.machine(), *kinds],
    }
