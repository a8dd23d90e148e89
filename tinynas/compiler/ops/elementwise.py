"""Functions of one int8 value: each of the 256 inputs has its output in a table, computed as the reference does.

Sources: activations_common.cc, leaky_relu_common.cc, logistic_common.cc, tanh.cc, hard_swish_common.cc and elu.cc in
tensorflow/lite/micro/kernels; requantize.h, leaky_relu.h, hard_swish.h and integer_ops/{logistic,tanh}.h in
tensorflow/lite/kernels/internal/reference.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

from tinynas.compiler.curves import logistic, tanh
from tinynas.compiler.fixed_point import Multiplier, quantize_multiplier, quantized, rounding_shift
from tinynas.compiler.graph import Operator
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
    with np.errstate(over="ignore"):
        table = _FUNCTIONS[operator.name](operator)
    call = Call(
        kernel="tn_map",
        record="tn_map",
        parameters={"count": source.elements},
        arguments=(source, output, Constant(name="table", values=np.array(table, np.int8))),
    )
    return Step(operator=operator, calls=(call,), overwrites=(source,), detail="a table of 256 values")


def _distances(operator: Operator) -> list[int]:
    """Every input value's distance from the input's zero point."""
    return [value - operator.activation().zero_point for value in range(-128, 128)]


def _clamped(values: Iterable[int], low: int = -128) -> list[int]:
    return [min(max(value, low), 127) for value in values]


def _relu(operator: Operator) -> list[int]:
    return _rescaled(operator, max(-128, operator.output.zero_point))


def _rescaled(operator: Operator, low: int) -> list[int]:
    factor = quantize_multiplier(operator.activation().scale / operator.output.scale)
    return _clamped((factor.apply(each) + operator.output.zero_point for each in _distances(operator)), low)


def _relu6(operator: Operator) -> list[int]:
    """TensorFlow Lite Micro clamps without rescaling: input and output share a scale."""
    source = operator.activation()
    six = min(max(quantized(6.0, source.scale, source.zero_point), -128), 127)
    return [min(max(value, source.zero_point), six) for value in range(-128, 128)]


def _leaky_relu(operator: Operator) -> list[int]:
    alpha = 0.0 if operator.options is None else operator.options.real(0)
    ratio = operator.activation().scale / operator.output.scale
    if not 0.0 <= alpha <= _LARGEST_ALPHA:
        operator.refuse(f"alpha {alpha:g}; supported is 0 to {_LARGEST_ALPHA:g}")
    above = quantize_multiplier(ratio)
    below = quantize_multiplier(
        float(np.float32(operator.activation().scale) * np.float32(alpha)) / operator.output.scale
    )
    values = ((above if each >= 0 else below).apply(each) for each in _distances(operator))
    return _clamped(value + operator.output.zero_point for value in values)


def _sigmoidal(operator: Operator, curve: Callable[[int], int], fraction_bits: int) -> list[int]:
    """A curve of Q4.27 inputs with outputs in Q0.31, brought to `fraction_bits`; far from 0, the output's extremes."""
    factor = quantize_multiplier(operator.activation().scale * (1 << 31 - _SIGMOIDAL_INTEGER_BITS))
    if factor.shift < 0:
        operator.refuse(f"scale {operator.activation().scale:g} is too fine; supported is above 2^-28")
    radius = math.floor(
        ((1 << _SIGMOIDAL_INTEGER_BITS) - 1) * (1 << 31 - _SIGMOIDAL_INTEGER_BITS) / (1 << factor.shift)
    )
    values = []
    for each in _distances(operator):
        if abs(each) >= radius:
            values.append(127 if each > 0 else -128)
        else:
            result = rounding_shift(curve(factor.apply(each)), 31 - fraction_bits)
            values.append(result + operator.output.zero_point)
    return _clamped(values)


def _logistic(operator: Operator) -> list[int]:
    _require_output(operator, 1 / 256, -128)
    return _sigmoidal(operator, logistic, 8)


def _tanh(operator: Operator) -> list[int]:
    _require_output(operator, 1 / 128, 0)
    return _sigmoidal(operator, tanh, 7)


def _require_output(operator: Operator, scale: float, zero_point: int) -> None:
    output = operator.output
    if output.scale != scale or output.zero_point != zero_point:
        operator.refuse(
            f"output scale {output.scale:g}, zero point {output.zero_point}; supported: {scale:g}, {zero_point}"
        )


def _hard_swish(operator: Operator) -> list[int]:
    """x * relu6(x + 3) / 6 in int16 arithmetic, inputs with seven bits below the integers."""
    hires_scale = np.float32(1.0 / 128.0) * np.float32(operator.activation().scale)
    output_factor = quantize_multiplier(float(hires_scale / np.float32(operator.output.scale)))
    reluish_factor = quantize_multiplier(float(hires_scale / np.float32(3.0 / 32768.0)))
    if output_factor.shift > 0:
        operator.refuse(f"output scale {operator.output.scale:g} is too fine for the input's")
    values = []
    for each in _distances(operator):
        hires = each << 7
        preshift = _high_product_16(hires, _to_16(output_factor.value))
        reluish = _reluish(hires, reluish_factor)
        # This product is not rounded but truncated towards zero.
        product = int(reluish * preshift / (1 << 15))
        values.append(rounding_shift(product, -output_factor.shift) + operator.output.zero_point)
    return _clamped(values)


def _reluish(hires: int, factor: Multiplier) -> int:
    """relu6(x + 3) / 6 in Q0.15."""
    value = hires
    if factor.shift > 0:
        value = _saturated_16(value << factor.shift - 1)
    value = _high_product_16(value, _to_16(factor.value))
    if factor.shift > 0:
        value = _saturated_16(value << 1)
    elif factor.shift < 0:
        value = rounding_shift(value, -factor.shift)
    return (value + (1 << 15)) >> 1


def _to_16(multiplier: int) -> int:
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


def _high_product_16(a: int, b: int) -> int:
    return min((a * b + (1 << 14)) >> 15, (1 << 15) - 1)


def _saturated_16(value: int) -> int:
    return min(max(value, -(1 << 15)), (1 << 15) - 1)


def _elu(operator: Operator) -> list[int]:
    """In float32, as the reference fills its table."""
    source, output = operator.activation(), operator.output
    factor = np.float32(1.0) / np.float32(output.scale)
    if not np.isfinite(factor):
        operator.refuse(f"output scale {output.scale:g} is too fine for float32")
    reals = np.float32(source.scale) * np.array(_distances(operator), np.float32)
    curved = np.where(reals < 0, np.expm1(np.minimum(reals, 0)), reals) * factor
    rounded = np.copysign(np.floor(np.abs(curved) + np.float32(0.5)), curved).astype(np.float64)
    return _clamped((np.clip(rounded, -(1 << 20), 1 << 20).astype(np.int64) + output.zero_point).tolist())


_SIGMOIDAL_INTEGER_BITS = 4
_LARGEST_ALPHA = 1024.0

_FUNCTIONS: dict[str, Callable[[Operator], list[int]]] = {
    "ELU": _elu,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _logistic,
    "RELU": _relu,
    "RELU6": _relu6,
    "TANH": _tanh,
}

NAMES = tuple(_FUNCTIONS)
