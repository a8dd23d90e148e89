"""SOFTMAX over the last dimension.

Sources: tensorflow/lite/kernels/internal/reference/softmax.h, PreprocessSoftmaxScaling and CalculateInputRadius in
quantization_util.cc.
"""

import math

import numpy as np

from tinynas.compiler.curves import exponential
from tinynas.compiler.fixed_point import INT32_MAX, Multiplier, doubling_high_product, quantize_multiplier, wrap_int32
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Constant, Step

# Inputs of the exponential are Q5.26; sums are Q12.19, so 4096 equal inputs would overflow.
_INTEGER_BITS = 5
_FRACTION_BITS = 31 - _INTEGER_BITS
DEEPEST = 4095


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
    if depth > DEEPEST:
        operator.refuse(f"{depth:,} classes; supported are at most {DEEPEST:,}")
    beta = 0.0 if operator.options is None else operator.options.real(0)
    table = exponentials(distance_multiplier(operator, beta * source.scale))
    call = Call(
        kernel="tn_softmax",
        record="tn_softmax",
        parameters={"rows": source.elements // depth, "depth": depth, "entries": len(table)},
        arguments=(source, output, Constant(name="exponentials", values=np.array(table, np.int32))),
    )
    return Step(operator=operator, calls=(call,), overwrites=(source,), detail=f"beta {beta:g}")


def distance_multiplier(operator: Operator, scale: float) -> Multiplier:
    """What brings the distance of an input from the largest one, times `scale`, to Q5.26.

    Raises:
        UnsupportedError: a scale beyond the fixed-point range.
    """
    real = min(scale * (1 << _FRACTION_BITS), INT32_MAX)
    if not real > 1.0:
        operator.refuse(f"beta * scale is {scale:g}; supported is above 2^-{_FRACTION_BITS}")
    return quantize_multiplier(real)


def largest_distance(multiplier: Multiplier) -> int:
    """The largest one that stays in Q5.26; the reference takes the exponential of what is further away for 0."""
    return math.floor(((1 << _INTEGER_BITS) - 1) * (1 << _FRACTION_BITS) / (1 << multiplier.shift))


def exponentials(multiplier: Multiplier) -> list[int]:
    """exp(-distance * scale) in Q0.31 for distances 0, 1, ... up to the last that can show in an output."""
    table = []
    for distance in range(min(largest_distance(multiplier), 255) + 1):
        rescaled = doubling_high_product(wrap_int32(-distance << multiplier.shift), multiplier.value)
        table.append(exponential(rescaled, _INTEGER_BITS))
    # Below 2^11 an exponential adds 0 to the sum and rounds to the output 0.
    while len(table) > 1 and table[-1] < 1 << 11:
        table.pop()
    return table
