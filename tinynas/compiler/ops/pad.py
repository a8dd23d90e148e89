"""PAD and PADV2. Source: tensorflow/lite/kernels/internal/reference/pad.h, tensorflow/lite/micro/kernels/pad.cc."""

import math

from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Call, Step

RANK = 4


def lower(operator: Operator) -> Step:
    """Any constant paddings in up to four dimensions; PADV2 brings its value, PAD pads with the output's zero point.

    Raises:
        MalformedModelError: paddings that do not lead to the output's shape.
        UnsupportedError: more dimensions, or scales of input and output that differ.
    """
    operator.require_operands(2, 3)
    source, output = operator.activation(), operator.output
    before = read_paddings(operator, source, output)
    missing = (0,) * (RANK - len(before))
    parameters = _parameters((1,) * len(missing) + source.shape, (1,) * len(missing) + output.shape, missing + before)
    parameters = {"count": output.elements, "value": padding_value(operator), **parameters}
    call = Call(kernel="tn_pad", record="tn_pad", parameters=parameters, arguments=(source, output))
    return Step(operator=operator, calls=(call,), detail=f"{list(before)} before")


def read_paddings(operator: Operator, source: Tensor, output: Tensor) -> tuple[int, ...]:
    """The paddings before each dimension, checked against the shapes.

    Raises:
        MalformedModelError: paddings that do not lead to the output's shape.
        UnsupportedError: more than four dimensions, or scales of input and output that differ.
    """
    if len(source.shape) > RANK or len(source.shape) != len(output.shape):
        operator.refuse(f"{list(source.shape)} -> {list(output.shape)}; supported are at most {RANK} dimensions")
    if (source.scale, source.zero_point) != (output.scale, output.zero_point):
        operator.refuse("input and output have different scales; supported are equal ones")
    paddings = operator.constant(1, "INT32").reshape(-1).tolist()
    if len(paddings) != 2 * len(source.shape) or min(paddings, default=0) < 0:
        operator.malformed(f"{len(paddings)} paddings for {len(source.shape)} dimensions, or one below 0")
    before, after = paddings[::2], paddings[1::2]
    padded = tuple(sum(each) for each in zip(before, source.shape, after, strict=True))
    if padded != output.shape:
        operator.malformed(f"{list(source.shape)} padded is {list(padded)}, the output has {list(output.shape)}")
    return tuple(before)


def padding_value(operator: Operator) -> int:
    """What PADV2 pads with, or the output's zero point."""
    if len(operator.inputs) < 3 or operator.inputs[2] is None:
        return operator.output.zero_point
    values = operator.constant(2, "INT8").reshape(-1)
    if len(values) != 1:
        operator.malformed(f"{len(values)} padding values, needs 1")
    return int(values[0])


def _parameters(source: tuple[int, ...], output: tuple[int, ...], before: tuple[int, ...]) -> dict[str, int]:
    pitches = [math.prod(output[axis + 1 :]) for axis in range(RANK)]
    return {
        "size_0": source[0],
        "size_1": source[1],
        "size_2": source[2],
        "row_bytes": source[3],
        "out_offset": sum(count * pitch for count, pitch in zip(before, pitches, strict=True)),
        "pitch_0": pitches[0],
        "pitch_1": pitches[1],
        "pitch_2": pitches[2],
    }
