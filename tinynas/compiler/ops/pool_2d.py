"""AVERAGE_POOL_2D and MAX_POOL_2D. Source: tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h."""

from tinynas.compiler.activation import fused_range
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step
from tinynas.compiler.window import Window, read_window

_KERNELS = {"AVERAGE_POOL_2D": "tn_average_pool", "MAX_POOL_2D": "tn_max_pool"}


def lower(operator: Operator) -> Step:
    """Any window, stride and padding; the input's values are used as they are, whatever its scale.

    Raises:
        MalformedModelError: shapes or options that contradict each other.
        UnsupportedError: a batch other than 1.
    """
    operator.require_operands(1, 1)
    window = pool_window(operator)
    if operator.output.shape[3] != window.channels:
        operator.malformed(f"{window.channels} -> {operator.output.shape[3]} channels")
    limits = fused_range(operator, 5)
    call = Call(
        kernel=_KERNELS[operator.name],
        record="tn_pool",
        parameters={**window.parameters, "low": limits.low, "high": limits.high},
        arguments=(operator.activation(), operator.output),
    )
    return Step(operator=operator, calls=(call,), detail=f"{window}, {limits.name}")


def pool_window(operator: Operator) -> Window:
    """The window of AVERAGE_POOL_2D and MAX_POOL_2D."""
    return read_window(
        operator,
        size=(operator.option(4, "i"), operator.option(3, "i")),
        stride=(operator.option(2, "i"), operator.option(1, "i")),
        dilation=(1, 1),
    )
