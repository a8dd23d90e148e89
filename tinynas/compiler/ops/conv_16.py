"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED of int16 values with int8 weights.

Sources: tensorflow/lite/kernels/internal/reference/integer_ops/{conv,depthwise_conv,fully_connected}.h, their int16
forms, and MultiplyByQuantizedMultiplier of 64-bit sums in tensorflow/lite/kernels/internal/common.h.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range
from tinynas.compiler.fixed_point import INT32_MAX, Multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Constant, Step, Trail
from tinynas.compiler.window import Window, trailing_lag

# The reference's conditions on sums and factors.
_LARGEST_SUM = 1 << 47
_HIGHEST_SHIFT = 7
_LARGEST_INPUT = 1 << 15
_ITEM_BYTES = 2


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
        UnsupportedError: a bias that is not int64, or sums or factors out of range.
    """
    return _step(
        operator, window, rows, multipliers, limits=limits, kernel="tn_conv_16", weights=rows.reshape(-1), parameters={}
    )


def depthwise_16(
    operator: Operator,
    window: Window,
    rows: npt.NDArray[np.int8],
    multipliers: Sequence[Multiplier],
    limits: Range,
) -> Step:
    """The step for weights as rows (out, height * width). Raises as `convolution_16`."""
    parameters = {"multiplier": len(rows) // window.channels}
    weights = np.ascontiguousarray(rows.T).reshape(-1)
    return _step(
        operator,
        window,
        rows,
        multipliers,
        limits=limits,
        kernel="tn_depthwise_16",
        weights=weights,
        parameters=parameters,
    )


def _step(
    operator: Operator,
    window: Window,
    rows: npt.NDArray[np.int8],
    multipliers: Sequence[Multiplier],
    *,
    limits: Range,
    kernel: str,
    weights: npt.NDArray[np.int8],
    parameters: dict[str, int],
) -> Step:
    """weights: in the kernel's order."""
    if max(each.shift for each in multipliers) > _HIGHEST_SHIFT:
        operator.refuse(f"a factor of 2^{_HIGHEST_SHIFT} or more between its scales")
    bias, source = _read_bias(operator, len(rows)), operator.activation()
    largest = np.abs(bias.astype(object)) + _LARGEST_INPUT * np.abs(rows.astype(np.int64)).sum(axis=1)
    if largest.max() >= _LARGEST_SUM:
        operator.refuse("a bias with which sums may leave 48 bits")
    narrow = bool(largest.max() <= INT32_MAX)
    words = bias if narrow else bias.astype("<i8").view("<i4")
    call = Call(
        kernel=kernel,
        record=kernel,
        parameters={
            **window.parameters,
            "channels": len(rows),
            **parameters,
            "rescale.step": int(len(multipliers) > 1),
            "rescale.low": limits.low,
            "rescale.high": limits.high,
        },
        arguments=(
            int(narrow),
            source,
            operator.output,
            Constant(name="weights", values=weights),
            Constant(name="bias", values=words.astype(np.int32)),
            Constant(name="multipliers", values=np.array([_reduced(each) for each in multipliers], np.int32)),
            Constant(name="shifts", values=np.array([15 - each.shift for each in multipliers], np.int8)),
        ),
    )
    return Step(
        operator=operator,
        calls=(call,),
        macs=math.prod(window.output) * rows.size,
        detail=f"int16, {window}, {limits.name}",
        trails=(Trail(tensor=source, lag=_ITEM_BYTES * trailing_lag(window, len(rows), block=1, staged=False)),),
    )


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
