"""Fused activations: the range to which an operator clamps its output."""

from dataclasses import dataclass

from tinynas.compiler.fixed_point import quantized
from tinynas.compiler.graph import LIMITS, Operator

_NAMES = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
_REAL_RANGES: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}


@dataclass(frozen=True, kw_only=True)
class Range:
    """Clamped to low..high, values of the output's type; `name` as in the schema."""

    name: str
    low: int
    high: int


def fused_range(operator: Operator, slot: int) -> Range:
    """The output's range under the activation in options field `slot`, and under what passes have added to it.

    Source: CalculateActivationRangeQuantized in tensorflow/lite/kernels/kernel_util.cc.

    Raises:
        MalformedModelError: an activation that the schema does not have.
        UnsupportedError: another activation than RELU, RELU6 and RELU_N1_TO_1, or a range without a value.
    """
    code = operator.option(slot, "b")
    if not 0 <= code < len(_NAMES):
        operator.malformed(f"unknown fused activation {code}")
    name = _NAMES[code]
    if name not in _REAL_RANGES:
        operator.refuse(f"fused activation {name}; supported are {', '.join(_REAL_RANGES)}")
    low, high = _REAL_RANGES[name]
    scale, zero_point = operator.output.scale, operator.output.zero_point
    least, greatest = operator.limits or LIMITS[operator.output.dtype]
    lowest = least if low is None else max(least, quantized(low, scale, zero_point))
    highest = greatest if high is None else min(greatest, quantized(high, scale, zero_point))
    if lowest > highest:
        operator.refuse(f"fused activation {name} leaves no value at scale {scale:g}, zero point {zero_point}")
    return Range(name=name, low=lowest, high=highest)
