"""AVERAGE_POOL_2D and MAX_POOL_2D. Source: tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h."""

import math

from tinynas.compiler.activation import fused_range
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step, Trail
from tinynas.compiler.symmetric import takes_int16
from tinynas.compiler.window import Window, read_window, trailing_lag

_KERNELS = {"AVERAGE_POOL_2D": "tn_average_pool", "MAX_POOL_2D": "tn_max_pool"}
# The sum of so many int16 values fits int32.
_MOST_INT16 = 1 << 15


def lower(operator: Operator) -> Step:
    """Any window, stride and padding; the input's values are used as they are, whatever its scale; int8 or int16.

    Raises:
        MalformedModelError: shapes or options that contradict each other.
        UnsupportedError: a batch other than 1, or an int16 window of more than 2^15 pixels.
    """
    operator.require_operands(1, 1)
    window = pool_window(operator)
    if operator.output.shape[3] != window.channels:
        operator.malformed(f"{window.channels} -> {operator.output.shape[3]} channels")
    limits, wide = fused_range(operator, 5), takes_int16(operator)
    if wide and math.prod(window.size) > _MOST_INT16:
        operator.refuse(f"a window of {math.prod(window.size):,} int16 values; supported are up to {_MOST_INT16:,}")
    lag = 2 * trailing_lag(window, window.channels, block=1, staged=False)
    call = Call(
        kernel=f"{_KERNELS[operator.name]}{'_16' if wide else ''}",
        record="tn_pool",
        parameters={**window.parameters, "low": limits.low, "high": limits.high},
        arguments=(operator.activation(), operator.output),
    )
    return Step(
        operator=operator,
        calls=(call,),
        detail=f"{'int16, ' if wide else ''}{window}, {limits.name}",
        trails=(Trail(tensor=operator.activation(), lag=lag),) if wide else (),
    )


def pool_window(operator: Operator) -> Window:
    """The window of AVERAGE_POOL_2D and MAX_POOL_2D."""
    return read_window(
        operator,
        size=(operator.option(4, "i"), operator.option(3, "i")),
        stride=(operator.option(2, "i"), operator.option(1, "i")),
        dilation=(1, 1),
    )
