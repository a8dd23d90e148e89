"""ADD and SUB. Sources: {add,sub}_common.cc in tensorflow/lite/micro/kernels, reference/integer_ops/add.h."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range, fused_range
from tinynas.compiler.broadcast import argument, broadcast_parameters, overwritable, read_pair
from tinynas.compiler.fixed_point import Multiplier, quantize_multiplier
from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Call, Step
from tinynas.compiler.symmetric import takes_int16

_EXTRA_BITS = 20
_EXTRA_BITS_16 = 15
# tn_add_linear.h rounds once, this many bits below the integers: 21 is what its assembly is written for, otherwise the
# more the better. With factors whose sum is at most this, its sums stay in int32.
_LINEAR_SHIFTS = (21, 23, 22, 20, 19, 18, 17, 16)
_LARGEST_FACTORS = 3 << 21
_LARGEST_ADDEND = 1 << 30


@dataclass(frozen=True, kw_only=True)
class _Linear:
    """(factor_a * a + factor_b * b + addend) >> shift, clamped."""

    factor_a: int
    factor_b: int
    addend: int
    shift: int


@dataclass(frozen=True, kw_only=True)
class _Addition:
    """Both inputs' factors to a scale finer than either, and from there to the output; sign: the second one's."""

    sign: int
    first: Tensor
    second: Tensor
    output: Tensor
    limits: Range
    rescale_a: Multiplier
    rescale_b: Multiplier
    rescale: Multiplier

    def outputs(self) -> npt.NDArray[np.int64]:
        """What the reference gives for every pair of inputs, shape (256, 256)."""
        values = np.arange(-128, 128)
        fine_a = self.rescale_a.apply_each((values - self.first.zero_point) << _EXTRA_BITS)
        fine_b = self.rescale_b.apply_each((values - self.second.zero_point) << _EXTRA_BITS)
        sums = self.rescale.apply_each(fine_a[:, None] + self.sign * fine_b[None, :])
        return np.clip(sums + self.output.zero_point, self.limits.low, self.limits.high)

    def linear(self) -> _Linear | None:
        """What gives the same for every pair of inputs with one rounding."""
        expected = self.outputs()
        for shift in _LINEAR_SHIFTS:
            scales = (self.first.scale, self.second.scale)
            factor_a, factor_b = (round(scale / self.output.scale * (1 << shift)) for scale in scales)
            if factor_a + factor_b <= _LARGEST_FACTORS:
                signed = self.sign * factor_b
                addend = self._addend(expected, factor_a, signed, shift)
                if addend is not None:
                    return _Linear(factor_a=factor_a, factor_b=signed, addend=addend, shift=shift)
        return None

    def _addend(self, expected: npt.NDArray[np.int64], factor_a: int, factor_b: int, shift: int) -> int | None:
        """In the middle of those that give what is expected, where the clamp does not do so anyway."""
        values = np.arange(-128, 128)
        least = (expected << shift) - values[:, None] * factor_a - values[None, :] * factor_b
        low = int(least[expected > self.limits.low].max(initial=-_LARGEST_ADDEND))
        high = int(least[expected < self.limits.high].min(initial=_LARGEST_ADDEND)) + (1 << shift) - 1
        return (low + high) // 2 if low <= high else None


def lower(operator: Operator) -> Step:
    """Equal shapes, or NumPy's broadcasting in up to four dimensions; one input may be a constant where they are int8.

    Raises:
        MalformedModelError: shapes that cannot be broadcast.
        UnsupportedError: inputs that are neither int8 nor int16 activations, or scales whose ratio TensorFlow Lite
            cannot represent.
    """
    first, second = read_pair(operator)
    wide = takes_int16(operator)
    twice_largest = 2 * max(first.scale, second.scale)
    factor = twice_largest / ((1 << (_EXTRA_BITS_16 if wide else _EXTRA_BITS)) * operator.output.scale)
    if factor >= 1.0:
        operator.refuse(f"output scale {operator.output.scale:g} is too fine for inputs at {twice_largest / 2:g}")
    addition = _Addition(
        sign=-1 if operator.name == "SUB" else 1,
        first=first,
        second=second,
        output=operator.output,
        limits=fused_range(operator, 0),
        rescale_a=quantize_multiplier(first.scale / twice_largest),
        rescale_b=quantize_multiplier(second.scale / twice_largest),
        rescale=quantize_multiplier(factor),
    )
    same = first.shape == second.shape == operator.output.shape
    call = _linear_call(operator, addition) if same and not wide else None
    return Step(
        operator=operator,
        calls=(call or _general_call(operator, addition, "tn_add_16" if wide else "tn_add"),),
        overwrites=overwritable(operator, first, second),
        detail=f"{'int16, ' if wide else ''}{addition.limits.name}",
    )


def _linear_call(operator: Operator, addition: _Addition) -> Call | None:
    """One rounding instead of three, where that gives the same."""
    linear, limits = addition.linear(), addition.limits
    if linear is None:
        return None
    parameters = {
        "count": operator.output.elements,
        "multiplier_a": linear.factor_a,
        "multiplier_b": linear.factor_b,
        "addend": linear.addend,
        "shift": linear.shift,
        "low": limits.low,
        "high": limits.high,
    }
    saturated = int((limits.low, limits.high) == (-128, 127))
    arguments = (saturated, argument(addition.first, "a"), argument(addition.second, "b"), operator.output)
    return Call(kernel="tn_add_linear", record="tn_add_linear", parameters=parameters, arguments=arguments)


def _general_call(operator: Operator, addition: _Addition, kernel: str) -> Call:
    parameters = {
        **broadcast_parameters(operator, addition.first, addition.second),
        "zero_point_a": addition.first.zero_point,
        "multiplier_a": addition.rescale_a.value,
        "shift_a": addition.rescale_a.shift,
        "zero_point_b": addition.second.zero_point,
        "multiplier_b": addition.rescale_b.value,
        "sign_b": addition.sign,
        "shift_b": addition.rescale_b.shift,
        "multiplier": addition.rescale.value,
        "shift": addition.rescale.shift,
        "zero_point": operator.output.zero_point,
        "low": addition.limits.low,
        "high": addition.limits.high,
    }
    arguments = (argument(addition.first, "a"), argument(addition.second, "b"), operator.output)
    return Call(kernel=kernel, record="tn_add", parameters=parameters, arguments=arguments)
