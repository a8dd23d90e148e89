"""SOFTMAX over the last dimension.

Sources: tensorflow/lite/kernels/internal/reference/softmax.h, PreprocessSoftmaxScaling and CalculateInputRadius in
quantization_util.cc, exp_on_negative_values in gemmlowp's fixedpoint.h.
"""

import math

import numpy as np

from tinynas.compiler.fixed_point import (
    INT32_MAX,
    doubling_high_product,
    quantize_multiplier,
    rounding_shift,
    wrap_int32,
)
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Constant, Step

# Inputs of the exponential are Q5.26; sums are Q12.19, so 4096 equal inputs would overflow.
_INTEGER_BITS = 5
_FRACTION_BITS = 31 - _INTEGER_BITS
_DEEPEST = 4095
# exp(-2^exponent) in Q0.31.
_EXPONENTIALS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}
_EXP_MINUS_EIGHTH = 1895147668
_ONE_THIRD = 715827883


def lower(operator: Operator) -> Step:
    """The output's scale is 1/256 and its zero point -128, as TensorFlow Lite demands.

    Raises:
        MalformedModelError: the shapes differ.
        UnsupportedError: another output scale, more than 4,095 classes, or beta * scale beyond the fixed-point range.
    """
    operator.require_operands(1, 1)
    source, output = operator.activation(), operator.output
    if source.shape != output.shape or not source.shape:
        operator.malformed(f"shapes {list(source.shape)} -> {list(output.shape)}")
    if output.zero_point != -128 or output.scale != 1 / 256:
        operator.refuse(f"output scale {output.scale:g}, zero point {output.zero_point}; supported are 1/256 and -128")
    depth = source.shape[-1]
    if depth > _DEEPEST:
        operator.refuse(f"{depth:,} classes; supported are at most {_DEEPEST:,}")
    beta = 0.0 if operator.options is None else operator.options.real(0)
    table = _exponentials(operator, beta * source.scale)
    call = Call(
        kernel="tn_softmax",
        record="tn_softmax",
        parameters={"rows": source.elements // depth, "depth": depth, "entries": len(table)},
        arguments=(source, output, Constant(name="exponentials", values=np.array(table, np.int32))),
    )
    return Step(operator=operator, calls=(call,), overwrites=(source,), detail=f"beta {beta:g}")


def _exponentials(operator: Operator, scale: float) -> list[int]:
    """exp(-distance * scale) in Q0.31 for distances 0, 1, ... up to the last that can show in an output."""
    real = min(scale * (1 << _FRACTION_BITS), INT32_MAX)
    if not real > 1.0:
        operator.refuse(f"beta * scale is {scale:g}; supported is above 2^-{_FRACTION_BITS}")
    multiplier = quantize_multiplier(real)
    radius = math.floor(((1 << _INTEGER_BITS) - 1) * (1 << _FRACTION_BITS) / (1 << multiplier.shift))
    table = []
    for distance in range(min(radius, 255) + 1):
        rescaled = doubling_high_product(wrap_int32(-distance << multiplier.shift), multiplier.value)
        table.append(_exponential(rescaled))
    # Below 2^11 an exponential adds 0 to the sum and rounds to the output 0.
    while len(table) > 1 and table[-1] < 1 << 11:
        table.pop()
    return table


def _exponential(value: int) -> int:
    """exp(value) in Q0.31 for value <= 0 in Q5.26."""
    if value == 0:
        return INT32_MAX
    quarter = 1 << (_FRACTION_BITS - 2)
    remainder = (value & (quarter - 1)) - quarter
    result = _exponential_of_fraction(remainder << _INTEGER_BITS)
    quarters = remainder - value
    for exponent, factor in _EXPONENTIALS.items():
        if quarters & (1 << (_FRACTION_BITS + exponent)):
            result = doubling_high_product(result, factor)
    return result


def _exponential_of_fraction(value: int) -> int:
    """exp(value) in Q0.31 for -1/4 <= value < 0: a Taylor series about -1/8."""
    x = value + (1 << 28)
    square = doubling_high_product(x, x)
    cube = doubling_high_product(square, x)
    fourth = rounding_shift(doubling_high_product(square, square), 2)
    tail = rounding_shift(doubling_high_product(fourth + cube, _ONE_THIRD) + square, 1)
    return _EXP_MINUS_EIGHTH + doubling_high_product(_EXP_MINUS_EIGHTH, x + tail)
