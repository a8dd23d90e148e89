"""What an int8 network answers, said by tflite-micro: the bit-exact oracle, and the judge of accuracy.

It runs the same reference kernels that a microcontroller with TensorFlow Lite Micro would. A malformed model can crash
or hang it, so that it belongs into a child process.
"""

import math
import re
from typing import Any

import numpy as np

from tinynas.errors import MalformedModelError
from tinynas.model.process import captured_stderr
from tinynas.model.quantize import quantize_for

_ARENA_BYTES = 32 << 20


def run_reference(tflite: bytes, inputs: np.ndarray) -> np.ndarray:
    """The outputs, int8 (n, *output_shape), of a network with one input and one output for int8 `inputs` (n, ...).

    Raises:
        MalformedModelError: tflite-micro refuses the model, or it is not int8 in and out, or the inputs do not fit.
    """
    interpreter = _interpreter(tflite)
    shape = _int8_details(interpreter.get_input_details(0), "input")
    output_shape = _int8_details(interpreter.get_output_details(0), "output")
    if inputs.dtype != np.int8 or math.prod(inputs.shape[1:]) != math.prod(shape):
        raise MalformedModelError(f"inputs are {inputs.dtype} {inputs.shape[1:]}, the model takes int8 {shape[1:]}")
    outputs = np.empty((len(inputs), *output_shape[1:]), np.int8)
    for index, one in enumerate(inputs):
        interpreter.set_input(one.reshape(shape), 0)
        interpreter.invoke()
        outputs[index] = interpreter.get_output(0)[0]
    return outputs


def score(tflite: bytes, x: np.ndarray, y: np.ndarray) -> float:
    """Accuracy in [0, 1] of the int8 network on float inputs `x` (n, *input_shape) and labels `y` (n,).

    The largest output wins; of equal ones, which int8 often has, the first.

    Raises:
        MalformedModelError: as `run_reference`.
    """
    outputs = run_reference(tflite, quantize_for(tflite, x)).reshape(len(x), -1)
    return float(np.mean(outputs.argmax(axis=1) == y))


def arena_bytes(tflite: bytes) -> int:
    """The arena [B] that tflite-micro allocates for the network on this machine, tensors and its own structures.

    Its structures hold pointers: a 32-bit microcontroller needs somewhat less.

    Raises:
        MalformedModelError: tflite-micro refuses the model or does not report its arena.
    """
    interpreter = _interpreter(tflite)
    shape = _int8_details(interpreter.get_input_details(0), "input")
    interpreter.set_input(np.zeros(shape, np.int8), 0)
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


def _int8_details(details: dict[str, Any], which: str) -> tuple[int, ...]:
    """The tensor's shape, checked to be static int8 with batch 1."""
    shape = tuple(int(size) for size in details["shape"])
    if details["dtype"] is not np.int8 or not shape or shape[0] != 1:
        name = getattr(details["dtype"], "__name__", details["dtype"])
        raise MalformedModelError(f"the {which} is {name} {shape}, int8 with batch 1 is expected")
    return shape
