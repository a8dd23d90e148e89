"""What an int8 network answers, said by tflite-micro: the bit-exact oracle, and the judge of accuracy.

It runs the same reference kernels that a microcontroller with TensorFlow Lite Micro would. A malformed model can crash
or hang it, so that it belongs into a child process.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynas.errors import MalformedModelError
from tinynas.model.process import captured_stderr
from tinynas.model.quantize import quantize_for

_ARENA_BYTES = 32 << 20


def run_reference(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """The outputs, int8 (n, output bytes), of a network for `inputs`, int8 (n, ...): as bytes, whatever their types.

    Several inputs lie one after the other, in the model's order, and so do several outputs.

    Raises:
        MalformedModelError: tflite-micro refuses the model, or the inputs do not fit.
    """
    return _run(tflite, inputs)[0]


def _run(tflite: bytes, inputs: np.ndarray) -> tuple[np.ndarray, list["_End"]]:
    """What `run_reference` gives, and what the network's outputs are."""
    interpreter = _interpreter(tflite)
    sources, results = _ends(tflite, interpreter)
    rows, size = inputs.reshape(len(inputs), -1), sum(source.bytes for source in sources)
    if inputs.dtype != np.int8 or rows.shape[1] != size:
        raise MalformedModelError(f"inputs are {inputs.dtype}, {rows.shape[1]:,} B each, the model takes {size:,} B")
    outputs = []
    for row in rows:
        start = 0
        for number, source in enumerate(sources):
            part = np.ascontiguousarray(row[start : start + source.bytes])
            interpreter.set_input(part.view(source.dtype).reshape(source.shape), number)
            start += source.bytes
        interpreter.invoke()
        found = [np.ascontiguousarray(interpreter.get_output(number)).reshape(-1) for number in range(len(results))]
        outputs.append(np.concatenate([each.view(np.int8) for each in found]))
    return np.array(outputs, np.int8), results


def score(tflite: bytes, x: np.ndarray, y: np.ndarray) -> float:
    """Accuracy in [0, 1] of a network with one output, on float inputs `x` (n, *input_shape) and labels `y` (n,).

    Its input is int8 or int16. The largest output wins; of equal ones, which int8 often has, the first.

    Raises:
        MalformedModelError: as `run_reference`.
    """
    outputs, (result, *_) = _run(tflite, quantize_for(tflite, x))
    return float(np.mean(outputs.view(result.dtype).argmax(axis=1) == y))


def arena_bytes(tflite: bytes) -> int:
    """The arena [B] that tflite-micro allocates for the network on this machine, tensors and its own structures.

    Its structures hold pointers: a 32-bit microcontroller needs somewhat less.

    Raises:
        MalformedModelError: tflite-micro refuses the model or does not report its arena.
    """
    interpreter = _interpreter(tflite)
    for number, source in enumerate(_ends(tflite, interpreter)[0]):
        interpreter.set_input(np.zeros(source.shape, source.dtype), number)
    interpreter.invoke()
    # The figure is only ever printed, and to the standard error.
    with captured_stderr() as captured:
        interpreter.print_allocations()
    found = re.search(r"Arena allocation total (\d+) bytes", captured.text)
    if found is None:
        raise MalformedModelError("tflite-micro does not report the arena of this model")
    return int(found[1])


def _interpreter(tflite: bytes) -> Any:
    from tflite_micro.python.tflite_micro import runtime

    with captured_stderr() as captured:
        try:
            return runtime.Interpreter.from_bytes(tflite, arena_size=_ARENA_BYTES)
        except Exception as error:
            failure = error
    # The exception says little; what is wrong with the model is printed before it.
    reason = "; ".join(captured.text.split("\n")).strip("; ") or str(failure)
    raise MalformedModelError(f"tflite-micro refuses the model: {reason}") from failure


@dataclass(frozen=True, kw_only=True)
class _End:
    """One input or output."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _ends(tflite: bytes, interpreter: Any) -> tuple[list[_End], list[_End]]:
    """The model's inputs and outputs. The interpreter has them, but not how many there are."""
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    graph = schema.Model.GetRootAs(tflite, 0).Subgraphs(0)
    return (
        [_end(interpreter.get_input_details(number)) for number in range(graph.InputsLength())],
        [_end(interpreter.get_output_details(number)) for number in range(graph.OutputsLength())],
    )


def _end(details: dict[str, Any]) -> _End:
    return _End(shape=tuple(int(size) for size in details["shape"]), dtype=np.dtype(details["dtype"]))
