"""The operators that the compiler knows, one module each. A new one is a module with `lower` and a line in a table."""

from collections.abc import Callable

from tinynas.compiler.graph import ITEM_BYTES, Operator
from tinynas.compiler.ops import (
    add,
    batch_matmul,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    elementwise,
    extreme,
    fully_connected,
    log_softmax,
    mirror_pad,
    movement,
    mul,
    pad,
    pool_2d,
    prelu,
    quantize,
    reduce,
    reshape,
    resize_bilinear,
    resize_nearest_neighbor,
    softmax,
    transpose_conv,
)
from tinynas.compiler.step import Step
from tinynas.compiler.target import Target

_LOWER: dict[str, Callable[[Operator], Step]] = {
    **dict.fromkeys(elementwise.NAMES, elementwise.lower),
    **dict.fromkeys(movement.NAMES, movement.lower),
    "ADD": add.lower,
    "AVERAGE_POOL_2D": pool_2d.lower,
    "BATCH_MATMUL": batch_matmul.lower,
    "CONCATENATION": concatenation.lower,
    "DEQUANTIZE": quantize.lower_dequantize,
    "EXPAND_DIMS": reshape.lower,
    "LOG_SOFTMAX": log_softmax.lower,
    "MAX_POOL_2D": pool_2d.lower,
    "MEAN": reduce.lower,
    "MAXIMUM": extreme.lower,
    "MINIMUM": extreme.lower,
    "MIRROR_PAD": mirror_pad.lower,
    "MUL": mul.lower,
    "PRELU": prelu.lower,
    "QUANTIZE": quantize.lower,
    "REDUCE_MAX": reduce.lower,
    "SUB": add.lower,
    "TRANSPOSE_CONV": transpose_conv.lower,
    "SUM": reduce.lower,
    "PACK": concatenation.lower_pack,
    "PAD": pad.lower,
    "PADV2": pad.lower,
    "RESHAPE": reshape.lower,
    "RESIZE_BILINEAR": resize_bilinear.lower,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor.lower,
    "SOFTMAX": softmax.lower,
    "SQUEEZE": reshape.lower,
}

# These have a form of their own for a CPU with DSP instructions.
_LOWER_FOR_TARGET: dict[str, Callable[[Operator, Target], Step]] = {
    "CONV_2D": conv_2d.lower,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d.lower,
    "FULLY_CONNECTED": fully_connected.lower,
}

_ANY = tuple(ITEM_BYTES)
_INTEGER = ("INT8", "INT16")

# The types of activations that these take; all others take INT8.
TYPES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("DEQUANTIZE", "EXPAND_DIMS", "QUANTIZE", "RESHAPE", "SQUEEZE"), _ANY),
    **dict.fromkeys(("ADD", "SUB", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "SUM"), _INTEGER),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), _INTEGER),
}

SUPPORTED = tuple(sorted({**_LOWER, **_LOWER_FOR_TARGET}))


def lower(operator: Operator, target: Target) -> Step:
    """The calls of kernels that compute one operator.

    Raises:
        MalformedModelError: the operator contradicts itself.
        UnsupportedError: an operator, or a form of it, that the compiler lacks.
    """
    if operator.name in _LOWER_FOR_TARGET:
        return _LOWER_FOR_TARGET[operator.name](operator, target)
    if operator.name not in _LOWER:
        operator.refuse(f"not supported; supported are {', '.join(SUPPORTED)}")
    return _LOWER[operator.name](operator)
