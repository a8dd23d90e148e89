"""RELU, RELU6 and QUANTIZE between int8: each of the 256 inputs has its output in a table.

Sources: tensorflow/lite/micro/kernels/activations_common.cc, tensorflow/lite/kernels/internal/reference/requantize.h.
"""

from collections.abc import Callable

import numpy as np

from tinynas.compiler.fixed_point import quantize_multiplier, quantized
from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Call, Constant, Step


def lower(operator: Operator) -> Step:
    """An output of the input's shape.

    Raises:
        MalformedModelError: the shapes differ.
        UnsupportedError: a scale beyond the fixed-point range.
    """
    operator.require_operands(1, 1)
    source, output = operator.activation(), operator.output
    if source.elements != output.elements:
        operator.malformed(f"{list(source.shape)} -> {list(output.shape)}")
    table = _FUNCTIONS[operator.name](source, output)
    call = Call(
        kernel="tn_map",
        record="tn_map",
        parameters={"count": source.elements},
        arguments=(source, output, Constant(name="table", values=np.array(table, np.int8))),
    )
    return Step(operator=operator, calls=(call,), overwrites=(source,), detail="a table of 256 values")


def _requantize(source: Tensor, output: Tensor) -> list[int]:
    return _rescaled(source, output, -128)


def _relu(source: Tensor, output: Tensor) -> list[int]:
    return _rescaled(source, output, max(-128, output.zero_point))


def _rescaled(source: Tensor, output: Tensor, low: int) -> list[int]:
    factor = quantize_multiplier(source.scale / output.scale)
    values = (factor.apply(value - source.zero_point) + output.zero_point for value in range(-128, 128))
    return [min(max(value, low), 127) for value in values]


def _relu6(source: Tensor, _: Tensor) -> list[int]:
    """TensorFlow Lite Micro clamps without rescaling: input and output share a scale."""
    six = min(max(quantized(6.0, source.scale, source.zero_point), -128), 127)
    return [min(max(value, source.zero_point), six) for value in range(-128, 128)]


_FUNCTIONS: dict[str, Callable[[Tensor, Tensor], list[int]]] = {
    "QUANTIZE": _requantize,
    "RELU": _relu,
    "RELU6": _relu6,
}
