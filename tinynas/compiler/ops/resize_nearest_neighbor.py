"""RESIZE_NEAREST_NEIGHBOR. Source: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h."""

import math

import numpy as np

from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Constant, Step


def lower(operator: Operator) -> Step:
    """To any size, with align_corners or half_pixel_centers; values are copied as they are.

    Raises:
        MalformedModelError: shapes that contradict each other.
        UnsupportedError: a batch other than 1.
    """
    operator.require_operands(2, 2)
    source, output = operator.activation(), operator.output
    size = operator.constant(1, "INT32").reshape(-1).tolist()
    if len(source.shape) != 4 or output.shape != (source.shape[0], *size, source.shape[3]):
        operator.malformed(f"{list(source.shape)} to {size[:4]} -> {list(output.shape)}")
    if source.shape[0] != 1:
        operator.refuse(f"a batch of {source.shape[0]}; supported is 1")
    align, half = bool(operator.option(0, "B")), bool(operator.option(1, "B"))
    rows, columns = (_nearest(source.shape[axis], output.shape[axis], align, half) for axis in (1, 2))
    call = Call(
        kernel="tn_resize_nearest",
        record="tn_resize_nearest",
        parameters={
            "in_width": source.shape[2],
            "channels": source.shape[3],
            "out_height": output.shape[1],
            "out_width": output.shape[2],
        },
        arguments=(source, output, Constant(name="rows", values=rows), Constant(name="columns", values=columns)),
    )
    return Step(operator=operator, calls=(call,), detail="nearest neighbour")


def _nearest(inputs: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """The input index for each output index along one dimension, in float32 as the reference has it."""
    ratio = (inputs - 1, outputs - 1) if align_corners and outputs > 1 else (inputs, outputs)
    scale = np.float32(ratio[0]) / np.float32(ratio[1])
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    places = [float((np.float32(index) + offset) * scale) for index in range(outputs)]
    nearest = [math.floor(place + 0.5) if align_corners else math.floor(place) for place in places]
    return np.array([max(0, min(index, inputs - 1)) for index in nearest], np.int32)
