"""One network without a search: what `tinynas compile` and `tinynas measure` do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tinynas import paths
from tinynas.boards import Board, load_board
from tinynas.children import call_in_child
from tinynas.compiler import DEFAULTS, Options, Program, compile_network
from tinynas.deploy.desks import Desks
from tinynas.device.bench import open_bench
from tinynas.device.ladder import flash_and_measure
from tinynas.device.measure import require_equal, to_cost
from tinynas.device.meters import open_meter, read_meter
from tinynas.errors import ConfigError, InfrastructureError, MalformedModelError
from tinynas.model.score import arena_bytes, run_reference
from tinynas.settings import quantity
from tinynas.study.accuracy import read_labelled_inputs

_MAX_MODEL_BYTES = 64 * 1024**2
_CHILD_TIMEOUT_S = 300.0
_CHILD_MEMORY_BYTES = 8 * 1024**3


# How files begin that are taken for a .tflite now and then, and what they are.
_OTHERS = {b"PK\x03\x04": "Keras archive", b"\x89HDF": "HDF5 file", b"\x80": "pickle", b"\x93NUMPY": "NumPy array"}


def read_model(path: Path) -> bytes:
    """The bytes of a .tflite file.

    Raises:
        ConfigError: it cannot be read.
        MalformedModelError: it is larger than any microcontroller's network (64 MiB).
        MalformedModelError: it is a file of another kind, most of which run code where they are loaded.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_MODEL_BYTES:
            raise MalformedModelError(f"model {path} has {size:,} B, at most {_MAX_MODEL_BYTES:,} are read")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"model {path} cannot be read: {error.strerror}") from error
    other = next((kind for start, kind in _OTHERS.items() if content.startswith(start)), None)
    if other is not None and content[4:8] != b"TFL3":
        raise MalformedModelError(
            f"model {path} is a {other}, which is not loaded, because that may run code: convert it to an int8 .tflite "
            "with TensorFlow's TFLiteConverter"
        )
    return content


def board_at(name: str, clock: str | None) -> Board:
    """The board of that name, at the clock that --clock says, such as "120 MHz"; None: at its manifest's.

    Raises:
        ConfigError: no board has that name, the text is no clock, or the board does not run at it.
    """
    try:
        clock_hz = None if clock is None else int(float(str(quantity(clock, "hz"))))
    except ValueError as error:
        raise ConfigError(f"--clock {clock}: {error}") from error
    return load_board(name).at(clock_hz)


def read_inputs(path: Path | None, program: Program, samples: int) -> np.ndarray:
    """Inputs as bytes, int8 (n, program.inputs_bytes), from a raw file; without one, `samples` random ones (seed 0).

    Several inputs of one inference lie one after the other, in the model's order.

    Raises:
        ConfigError: the file cannot be read, is empty, or is no whole number of inputs.
    """
    if path is None:
        return _random_inputs(program, samples)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"input {path} cannot be read: {error.strerror}") from error
    if not raw or len(raw) % program.inputs_bytes:
        kinds = " and ".join(f"{'x'.join(map(str, each.shape))} {each.dtype}" for each in program.inputs)
        raise ConfigError(
            f"input {path} has {len(raw):,} B, the network takes {program.inputs_bytes:,} B an inference ({kinds}): "
            "give a raw file of one or more"
        )
    return np.frombuffer(raw, np.int8).reshape(-1, program.inputs_bytes)


def _random_inputs(program: Program, samples: int) -> np.ndarray:
    """Any value of an integer type; float values as of normalised data."""
    random = np.random.default_rng(0)
    parts = []
    for tensor in program.inputs:
        dtype = np.dtype(tensor.dtype)
        shape = (samples, tensor.bytes // dtype.itemsize)
        if dtype.kind == "f":
            values = random.standard_normal(shape, dtype)
        else:
            values = random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        parts.append(values.view(np.int8))
    return np.concatenate(parts, axis=1)


def _values(program: Program, row: np.ndarray) -> list[Any]:
    """One inference's outputs as numbers of their types: a list, or one list for each of several."""
    ends = np.cumsum([tensor.bytes for tensor in program.outputs])[:-1]
    parts = [
        np.ascontiguousarray(part).view(tensor.dtype).tolist()
        for part, tensor in zip(np.split(row, ends), program.outputs, strict=True)
    ]
    return parts[0] if len(parts) == 1 else parts


def reference(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """What tflite-micro gives for inputs as bytes, (n, ...), asked in a child: a foreign model may crash it."""
    return call_in_child("tflite-micro", _CHILD_TIMEOUT_S, _CHILD_MEMORY_BYTES, run_reference, tflite, inputs)


def tflm_arena_bytes(tflite: bytes) -> int:
    """The arena [B] that tflite-micro reports for the network, asked in a child."""
    return call_in_child("tflite-micro", _CHILD_TIMEOUT_S, _CHILD_MEMORY_BYTES, arena_bytes, tflite)


def measure_file(
    path: Path,
    board_name: str,
    input_path: Path | None = None,
    *,
    task: str | None = None,
    samples: int | None = None,
    port: str | None = None,
    bench: Path | None = None,
    meter: str | None = None,
    repeats: int = 3,
    clock: str | None = None,
    options: Options = DEFAULTS,
    notify: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:
    """Measure a .tflite file on a board and compare its outputs with tflite-micro's, byte for byte.

    Args:
        task: what `--accuracy` takes: a task of whose test split `samples` are the inputs.
        meter: what `--meter` takes: a kind of instrument, or a TOML file that describes one.
        clock: as for `board_at`.
        notify: told which stage comes next.

    Returns:
        The object that `tinynas measure --json` prints: `board`, the cost's fields, and `outputs`, one list of values
        for each inference, or of such lists where the network has several outputs. With a task, `accuracy`.

    Raises:
        ConfigError: unknown board, clock, meter or task, unreadable file, input of the wrong size.
        CandidateError: the network is refused, does not fit, or computes something else than tflite-micro.
        BenchError, InfrastructureError: no board or no toolchain.
    """
    if task is not None and input_path is not None:
        raise ConfigError("inputs come from --accuracy or from --input: leave one out")
    if task is None and samples is not None:
        raise ConfigError(f"--samples {samples:,} of which task? Name it with --accuracy")
    board = board_at(board_name, clock)
    instrument = None if meter is None else open_meter(read_meter(meter), board)
    tflite = read_model(path)
    program = compile_network(tflite, target=board.target, constants=board.constants, **options.arguments)
    notify("inputs")
    test = None if task is None else read_labelled_inputs(task, samples, tflite, program)
    inputs = read_inputs(input_path, program, samples=16) if test is None else test.inputs
    judge = require_equal if test is None else test.require_equal
    notify("build")
    image = Desks().build(board, program)
    notify("reference")
    expected = reference(tflite, inputs)
    notify(f"{len(inputs):,} inputs on {board.name}")
    with (
        instrument or nullcontext(),
        open_bench(board, port=port, directory=paths.home() / "bench", file=bench, meter=instrument) as boards,
    ):
        measurement = flash_and_measure(
            boards,
            image,
            inputs,
            repeats=repeats,
            accept=lambda found: judge(found.outputs, expected, board.name),
        )
    return {
        "board": board.name,
        "model": str(path),
        **to_cost(measurement, image, board).to_json(),
        "channels_left_out": program.channels_left_out,
        "patched": patched_object(program),
        "optimize": program.optimize,
        "fast_bytes": program.fast_bytes,
        **({} if test is None else {"accuracy": test.to_json(measurement.outputs, expected)}),
        "inputs": _origin(task, input_path),
        "outputs": [_values(program, row) for row in measurement.outputs.reshape(len(inputs), -1)],
    }


def _origin(task: str | None, input_path: Path | None) -> str:
    """Where the inputs are from."""
    if task is not None:
        return f"test split of {task}"
    return "file" if input_path is not None else "random, seed 0"


def fast_bytes(board: Board, wanted: str) -> int:
    """How much fast memory a network's constants may take [B]: "off", "auto" for all that the board has, or a size.

    A size beyond the fast memory of a board means all of it; a board without any gives SRAM.

    Raises:
        ConfigError: "auto" on a board without fast memory, or no size.
    """
    if wanted == "off":
        return 0
    has = board.fast_memory.bytes if board.fast_memory else None
    if wanted == "auto":
        if has is None:
            raise ConfigError(
                f"board {board.name} has no fast memory of its own: say how much SRAM its constants may take, "
                "such as --fast-memory '16 KB'"
            )
        return has
    try:
        size = int(float(str(quantity(wanted, "bytes"))))
    except ValueError as error:
        raise ConfigError(f"--fast-memory {wanted}: {error}") from error
    return size if has is None else min(size, has)


def patched_object(program: Program) -> dict[str, int] | None:
    """What runs in patches, as --json prints it; None where nothing does."""
    return None if program.patched is None else asdict(program.patched)


def compile_file(path: Path, folder: Path, *, options: Options = DEFAULTS) -> dict[str, Any]:
    """Compile a .tflite file to C in `folder`.

    Returns:
        The object that `tinynas compile --json` prints: arena, constants, layers and the files written.

    Raises:
        ConfigError: the file cannot be read.
        CandidateError: the compiler refuses the network.
        InfrastructureError: the folder cannot be written.
    """
    program = compile_network(read_model(path), constants="arrays", **options.arguments)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in program.files.items():
            (folder / name).write_bytes(content)
    return {
        "model": str(path),
        "sha256": program.sha256,
        "arena_bytes": program.arena_bytes,
        "constants_bytes": program.constants_bytes,
        "channels_left_out": program.channels_left_out,
        "patched": patched_object(program),
        "layers": [asdict(layer) for layer in program.layers],
        "files": [str(folder / name) for name in program.files],
    }


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(f"folder {folder} cannot be written: {error.strerror}") from error
