"""RESIZE_BILINEAR. Source: ResizeBilinearInteger in tensorflow/lite/kernels/internal/reference/resize_bilinear.h."""

import numpy as np
import numpy.typing as npt

from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Constant, Step

_ONE = 1 << 10
# Positions are counted in 1/1024 of a pixel in int32.
_LARGEST = 1 << 20


def lower(operator: Operator) -> Step:
    """Of an image with equal scales, with corners aligned, pixels' centres at halves, or neither.

    Raises:
        MalformedModelError: shapes that do not agree, or both options.
        UnsupportedError: a batch other than 1, more than 2^20 pixels along a side, or different scales.
    """
    operator.require_operands(1, 2)
    source, output = operator.activation(), operator.output
    if len(source.shape) != 4 or len(output.shape) != 4 or source.shape[3] != output.shape[3]:
        operator.malformed(f"shapes {list(source.shape)} -> {list(output.shape)}")
    if source.shape[0] != 1 or output.shape[0] != 1 or max(*source.shape, *output.shape) > _LARGEST:
        operator.refuse(
            f"{list(source.shape)} -> {list(output.shape)}; supported is a batch of 1, sides to {_LARGEST:,}"
        )
    if (source.scale, source.zero_point) != (output.scale, output.zero_point):
        operator.refuse("input and output have different scales; supported are equal ones")
    align, half = operator.option(2, "B") != 0, operator.option(3, "B") != 0
    if align and half:
        operator.malformed("corners are aligned and pixels' centres at halves: one excludes the other")
    lines, columns = (_neighbours(source.shape[axis], output.shape[axis], align, half) for axis in (1, 2))
    call = Call(
        kernel="tn_resize_bilinear",
        record="tn_resize_bilinear",
        parameters={
            "in_width": source.shape[2],
            "out_height": output.shape[1],
            "out_width": output.shape[2],
            "channels": output.shape[3],
        },
        arguments=(
            source,
            output,
            Constant(name="lines", values=lines),
            Constant(name="columns", values=columns),
        ),
    )
    return Step(
        operator=operator, calls=(call,), detail="corners aligned" if align else "half-pixel centres" if half else ""
    )


def _neighbours(size: int, count: int, align: bool, half: bool) -> npt.NDArray[np.int32]:
    """The neighbour before, the one after, and the latter's weight, for each of `count` places; shape (3 * count,)."""
    scale = (_ONE * size + count // 2) // count
    if align and count > 1:
        scale = (_ONE * (size - 1) + (count - 1) // 2) // (count - 1)
    places = np.arange(count, dtype=np.int64) * scale
    if half:
        places += scale // 2 - _ONE // 2
    # C's division truncates towards zero, which the bounds at 0 hide below.
    before = np.maximum(places // _ONE, 0)
    after = np.minimum(np.maximum((places + _ONE - 1) // _ONE, 0), size - 1)
    return np.column_stack([before, after, places - _ONE * before]).astype(np.int32).reshape(-1)
