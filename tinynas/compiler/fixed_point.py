"""Fixed-point arithmetic as TensorFlow Lite defines it, for what is computed offline.

Sources: tensorflow/lite/kernels/internal/quantization_util.cc (QuantizeMultiplier), gemmlowp's fixedpoint.h (rounding),
tensorflow/lite/kernels/kernel_util.cc (activation ranges). The C twins are in firmware/lib/tn_fixed_point.h.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.errors import UnsupportedError

INT32_MAX = (1 << 31) - 1
_HIGHEST_SHIFT = 30


@dataclass(frozen=True, kw_only=True)
class Multiplier:
    """A positive real number as `value` / 2^31 * 2^`shift`, value in [2^30, 2^31), or 0; shift in [-31, 30]."""

    value: int
    shift: int

    def apply(self, number: int) -> int:
        """`number` (int32) times this, rounded twice as gemmlowp does: to 2^-31, then to an integer."""
        left, right = max(self.shift, 0), max(-self.shift, 0)
        return rounding_shift(doubling_high_product(wrap_int32(number << left), self.value), right)

    def apply_each(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """`apply` to every number, each of which fits int32 before and after."""
        left, right = max(self.shift, 0), max(-self.shift, 0)
        products = ((numbers << left) * self.value + (1 << 30)) >> 31
        remainders, half = products & ((1 << right) - 1), ((1 << right) - 1) >> 1
        rounded: npt.NDArray[np.int64] = (products >> right) + (remainders > half + (products < 0))
        return rounded


# TensorFlow Lite writes 0 with shift 0; any shift gives 0, and this one suits the kernels' short way.
_ZERO = Multiplier(value=0, shift=-1)


def quantize_multiplier(real: float) -> Multiplier:
    """The closest Multiplier to `real` >= 0; below 2^-32 it is 0.

    Raises:
        UnsupportedError: real >= 2^30, which no trained network needs.
    """
    if not real < 1 << _HIGHEST_SHIFT:
        raise UnsupportedError(f"a rescaling factor of {real:g}: supported are factors below 2^{_HIGHEST_SHIFT}")
    if real == 0.0:
        return _ZERO
    fraction, shift = math.frexp(real)
    # TensorFlow Lite rounds halves away from zero; fraction * 2^31 is exact in a double.
    value = math.floor(fraction * (1 << 31) + 0.5)
    if value == 1 << 31:
        value //= 2
        shift += 1
    if shift > _HIGHEST_SHIFT:
        raise UnsupportedError(f"a rescaling factor of {real:g}: supported are factors below 2^{_HIGHEST_SHIFT}")
    return Multiplier(value=value, shift=shift) if shift >= -31 else _ZERO


def wrap_int32(number: int) -> int:
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def doubling_high_product(a: int, b: int) -> int:
    """gemmlowp's SaturatingRoundingDoublingHighMul: round(a * b / 2^31)."""
    return min((a * b + (1 << 30)) >> 31, INT32_MAX)


def rounding_shift(number: int, exponent: int) -> int:
    """gemmlowp's RoundingDivideByPOT: number / 2^exponent, halves away from zero."""
    remainder = number & ((1 << exponent) - 1)
    threshold = (((1 << exponent) - 1) >> 1) + (1 if number < 0 else 0)
    return (number >> exponent) + (1 if remainder > threshold else 0)


def quantized(real: float, scale: float, zero_point: int) -> int:
    """zero_point + round(real / scale) in float32 with halves away from zero, not clamped.

    Raises:
        UnsupportedError: the quotient does not fit int32.
    """
    with np.errstate(over="ignore"):
        quotient = float(np.float32(real) / np.float32(scale))
    if not abs(quotient) < 1 << 31:
        raise UnsupportedError(f"{real:g} at scale {scale:g} does not fit int32")
    return zero_point + int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))


def within_int32(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of the numbers an int32 holds."""
    return (numbers >= -INT32_MAX - 1) & (numbers <= INT32_MAX)


def can_apply(multipliers: Sequence[Multiplier], numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of the numbers, as for `apply_each`, stay inside int32 when shifted to the left: there, and only there, a
    product never decreases when the number grows.
    """
    left = np.array([max(each.shift, 0) for each in multipliers], np.int64)
    return within_int32(numbers) & within_int32(np.clip(numbers, -INT32_MAX - 1, INT32_MAX) << left)


def apply_each(multipliers: Sequence[Multiplier], numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`Multiplier.apply` on many numbers, for each of which `can_apply` holds.

    multipliers: one for each number, or one for all; numbers: (count,).
    """
    values = np.array([each.value for each in multipliers], np.int64)
    shifts = np.array([each.shift for each in multipliers], np.int64)
    left, right = np.maximum(shifts, 0), np.maximum(-shifts, 0)
    products = np.minimum(((numbers << left) * values + (1 << 30)) >> 31, INT32_MAX)
    mask = (np.int64(1) << right) - 1
    halves = (mask >> 1) + (products < 0)
    return np.asarray((products >> right) + ((products & mask) > halves), np.int64)
