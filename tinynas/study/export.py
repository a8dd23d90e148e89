"""A network as files that drop into somebody's firmware: a C library, arrays for TFLite Micro, PlatformIO projects.

Each form is a function from a delivery to files; here they are chosen, and written whole or not at all.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from tinynas.boards import Board, nearest
from tinynas.compiler import DEFAULTS, Options, compile_network
from tinynas.errors import ConfigError, InfrastructureError
from tinynas.study.delivery import Delivery, Provenance, deliver, manifest
from tinynas.study.export_c import c_library
from tinynas.study.export_mlperf import benchmark_of, mlperf_project, require_benchmark
from tinynas.study.export_platformio import platformio_project
from tinynas.study.export_tflm import tflm_sources

__all__ = ["FORMS", "TRIAL_FORMS", "Provenance", "export", "require_form"]

FORMS = ("c", "tflm", "platformio", "mlperf")
# Of all trials of a study: `study.export_trials`.
TRIAL_FORMS = ("csv", "parquet", "optuna")
MANIFEST = "tinynas-export.json"


def require_form(to: str, name: str | None = None) -> None:
    """Refuse what is no form of a network before any work starts, and for "mlperf" an unknown benchmark.

    Raises:
        ConfigError: `to` is none of FORMS, or `name` no benchmark.
    """
    if to in TRIAL_FORMS:
        raise ConfigError(f"export to {to} takes the trials of a study, not one network: name a study")
    if to not in FORMS:
        raise ConfigError(f"export form {to!r} is not known: {nearest(to, (*FORMS, *TRIAL_FORMS))}")
    if to == "mlperf" and name is not None:
        require_benchmark(name)


def require_free(folder: Path, *, force: bool) -> None:
    """Refuse a folder that must not be replaced. With `force`, one that an earlier export wrote may be.

    Raises:
        ConfigError: the folder holds something.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file: name another --output")
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"folder {folder} holds files that no export wrote: name another --output")
    if not force:
        raise ConfigError(f"folder {folder} holds an earlier export: name another --output, or replace it with --force")


def export(
    tflite: bytes,
    *,
    to: str,
    folder: Path,
    inputs: bytes,
    outputs: bytes,
    provenance: Provenance,
    name: str | None = None,
    board: Board | None = None,
    arena_bytes: int | None = None,
    options: Options = DEFAULTS,
    force: bool = False,
) -> dict[str, Any]:
    """Write a network to `folder` in the form `to`, with a test vector that the exported code is checked against.

    inputs, outputs: raw bytes, one or more cases back to back. name: in the C code, "network" unless given; for
    "mlperf" the benchmark, by default the one whose input the network takes. board: what a PlatformIO project is for,
    and whose kind of CPU the C is fast on.
    arena_bytes: what tflite-micro needs for the network, for "tflm" [B]. options: how its C is compiled.

    Returns:
        What was written, as JSON values: `to`, `folder`, `name`, `files`, `arena_bytes`, `constants_bytes`.

    Raises:
        ConfigError: unknown form, a name that is no C identifier, a folder that holds something, or a wrong vector;
            for "mlperf" as `benchmark_of`.
        LimitError: for "mlperf", the board's memory is too small.
        MalformedModelError, UnsupportedError: the compiler refuses the network.
        InfrastructureError: the folder cannot be written.
    """
    require_form(to, name)
    require_free(folder, force=force)
    target = "portable" if board is None else board.target
    # The benchmark's firmware calls the network by this name.
    in_c = "network" if to == "mlperf" or name is None else name
    program = compile_network(tflite, name=in_c, constants="arrays", target=target, **options.arguments)
    delivery = deliver(tflite, program, inputs=inputs, outputs=outputs, provenance=provenance)
    named = benchmark_of(program, name) if to == "mlperf" else in_c
    files = _form(to, board, arena_bytes, named)(delivery)
    files[MANIFEST] = manifest(delivery, to, list(files))
    _write(files, folder)
    return {
        "to": to,
        "folder": str(folder),
        "name": named,
        "arena_bytes": arena_bytes if to == "tflm" else program.arena_bytes,
        "constants_bytes": program.constants_bytes,
        "files": sorted(files),
    }


def _form(to: str, board: Board | None, arena_bytes: int | None, name: str) -> Callable[[Delivery], dict[str, bytes]]:
    if to == "c":
        return c_library
    if to == "tflm":
        if arena_bytes is None:
            raise ConfigError("export to tflm needs the arena size that tflite-micro reports")
        return lambda delivery: tflm_sources(delivery, arena_bytes)
    if board is None:
        raise ConfigError(f"export to {to} needs a board: name one with --board")
    if to == "mlperf":
        return lambda delivery: mlperf_project(delivery, board, name)
    return lambda delivery: platformio_project(delivery, board)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    """Fill a draft beside `folder`, then put it in its place: a reader never sees half an export."""
    folder = folder.absolute()
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.draft")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        for name, content in files.items():
            path = draft / PurePosixPath(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with suppress(FileNotFoundError):
            folder.rename(old)
        draft.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise InfrastructureError(f"folder {folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
