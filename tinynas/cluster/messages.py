"""What a study and its workers say to each other, as bytes: plain data, and functions by their names.

Bytes are a pickle that may name the records of tinynas and numpy's arrays and nothing else, so that what arrives here
holds no code. Dask itself does load whatever a member of the cluster sends it; what keeps others out is TLS.
"""

import importlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from tinynas.compiler import Program
from tinynas.deploy.build import Image
from tinynas.device.pool import Order
from tinynas.errors import InfrastructureError, TinynasError

TRAIN = "train"
_BUILTIN = {("builtins", name) for name in ("set", "frozenset", "bytearray", "complex", "slice", "range")}
_NUMPY = {"_reconstruct", "_frombuffer", "scalar"}


def board_resource(board: str) -> str:
    """The resource that a place for boards of this kind offers."""
    return f"board:{board}"


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that functions read: relative to tinynas' home, with the SHA-256 of its content and its size [B]."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Call:
    """Run a function, "module:name", in a child. `what`, the limits: as in `Crew.call` and `Children`."""

    what: str
    function: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float
    memory_bytes: int
    files: tuple[File, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Build:
    """Build the image of a network, or one of all that several images hold, for `board` at `clock_hz`. `toolchain`:
    with which alone it comes out as where the study is.
    """

    board: str
    clock_hz: int
    toolchain: str
    what: Program | tuple[Image, ...]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Flash and measure on any board of a kind. `study` tells one study's labels from another's."""

    board: str
    order: Order
    study: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """Check the boards of a kind for drift; the labels of this study that must be repeated."""

    board: str
    study: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """`host` is the worker's process, which may have results that are yet to be checked; `seconds`: what it took."""

    value: Any
    host: str
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The work's own verdict."""

    error: TinynasError


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Files that the call needs are not in `depot`, which stands for a home that workers may share; the worker at
    `address` takes them.
    """

    depot: str
    address: str
    files: tuple[File, ...]


@dataclass(frozen=True, kw_only=True)
class Unable:
    """This worker cannot do it, another may."""

    reason: str


def name_of(function: Callable[..., Any]) -> str:
    """The name by which a worker finds a function. Raises ValueError: it is none of tinynas' own."""
    name = f"{function.__module__}:{function.__qualname__}"
    if function_named(name) is not function:
        raise ValueError(f"{name} cannot be found by its name")
    return name


def function_named(name: str) -> Callable[..., Any]:
    """The function of tinynas with this name. Raises ValueError: there is none."""
    module, _, attribute = name.partition(":")
    found = getattr(_module(module), attribute, None)
    if not callable(found) or getattr(found, "__module__", None) != module:
        raise ValueError(f"{name} is no function of tinynas")
    return found  # type: ignore[no-any-return]


def pack(value: Any) -> bytes:
    """Plain data as bytes."""
    content = BytesIO()
    pickler = pickle.Pickler(content, protocol=5)
    # Dask registers a way of its own to write exceptions, those of tinynas included, which `unpack` refuses.
    pickler.dispatch_table = {}
    pickler.dump(value)
    return content.getvalue()


def unpack(content: bytes) -> Any:
    """The data in bytes of `pack`.

    Raises:
        InfrastructureError: they hold anything but plain data.
    """
    try:
        return _PlainUnpickler(BytesIO(content)).load()
    except InfrastructureError:
        raise
    except Exception as error:
        raise InfrastructureError(f"a message of the cluster cannot be understood: {error}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Finds records of tinynas and what numpy's arrays are made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _BUILTIN:
            return super().find_class(module, name)
        if module == "pathlib" and name in {"Path", "PosixPath", "WindowsPath"}:
            return Path
        if module.startswith("numpy.") and name in _NUMPY:
            return super().find_class(module, name)
        if module == "numpy" and name in {"ndarray", "dtype"}:
            return getattr(np, name)
        if module.partition(".")[0] == "tinynas":
            found = getattr(_module(module), name, None)
            if isinstance(found, type) and (
                is_dataclass(found) or issubclass(found, BaseModel | Enum | TinynasError) or issubclass(found, tuple)
            ):
                return found
        raise InfrastructureError(f"a message of the cluster names {module}.{name}, which is no plain data")


def _module(name: str) -> Any:
    if name.partition(".")[0] != "tinynas":
        raise ValueError(f"{name} is no module of tinynas")
    return importlib.import_module(name)
