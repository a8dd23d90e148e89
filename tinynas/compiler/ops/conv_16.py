"""CONV_2D and FULLY_CONNECTED of int16 values with int8 weights.

Sources: tensorflow/lite/kernels/internal/reference/integer_ops/{conv,fully_connected}.h, their int16 forms, and
MultiplyByQuantizedMultiplier of 64-bit sums in tensorflow/lite/kernels/internal/common.h.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range
from tinynas.compiler.fixed_point import Multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Constant, Step
from tinynas.compiler.window import Window

# The reference's conditions on sums and factors.
_LARGEST_SUM = 1 << 47
_HIGHEST_SHIFT = 7
# No product of an int8 and an int16 is larger.
_LARGEST_PRODUCT = 1 << 22


def convolution_16(
    operator: Operator,
    window: Window,
    rows: npt.NDArray[np.int8],
    multipliers: Sequence[Multiplier],
    limits: Range,
) -> Step:
    """The step for weights as rows (out, height * width * in).

    Raises:
        MalformedModelError: a bias of another size.
        UnsupportedError: a zero point other than 0, a bias that is not int64, or sums or factors out of range.
    """
    channels, depth = rows.shape
    source, output = operator.activation(), operator.output
    if output.dtype != "INT16" or source.zero_point or output.zero_point:
        operator.refuse(
            f"{source.dtype} with zero point {source.zero_point} becomes {output.dtype} with {output.zero_point};"
            " supported is INT16 with 0 on both sides"
        )
    if max(each.shift for each in multipliers) > _HIGHEST_SHIFT:
        operator.refuse(f"a factor of 2^{_HIGHEST_SHIFT} or more between its scales")
    bias = _read_bias(operator, channels)
    if int(np.abs(bias.astype(object)).max()) + depth * _LARGEST_PRODUCT >= _LARGEST_SUM:
        operator.refuse("a bias with which sums may leave 48 bits")
    call = Call(
        kernel="tn_conv_16",
        record="tn_conv_16",
        parameters={
            **window.parameters,
            "channels": channels,
            "step": int(len(multipliers) > 1),
            "low": limits.low,
            "high": limits.high,
        },
        arguments=(
            source,
            output,
            Constant(name="weights", values=rows.reshape(-1)),
            Constant(name="bias", values=bias.astype("<i8").view("<i4").astype(np.int32)),
            Constant(name="multipliers", values=np.array([_reduced(each) for each in multipliers], np.int32)),
            Constant(name="shifts", values=np.array([15 - each.shift for each in multipliers], np.int8)),
        ),
    )
    macs = math.prod(window.output) * rows.size
    return Step(operator=operator, calls=(call,), macs=macs, detail=f"int16, {window}, {limits.name}")


def _reduced(multiplier: Multiplier) -> int:
    """Its upper 16 bits, rounded."""
    return min((multiplier.value + (1 << 15)) >> 16, 0x7FFF)


def _read_bias(operator: Operator, channels: int) -> npt.NDArray[np.int64]:
    if len(operator.inputs) < 3 or operator.inputs[2] is None:
        return np.zeros(channels, np.int64)
    bias = operator.constant(2, "INT64").reshape(-1)
    if len(bias) != channels:
        operator.malformed(f"a bias of {len(bias)} values for {channels} channels")
    return bias
