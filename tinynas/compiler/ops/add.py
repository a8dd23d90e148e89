"""ADD. Sources: tensorflow/lite/micro/kernels/add_common.cc, reference/integer_ops/add.h."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range, fused_range
from tinynas.compiler.broadcast import argument, broadcast_parameters, overwritable, read_pair
from tinynas.compiler.fixed_point import Multiplier, quantize_multiplier
from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Call, Step

_EXTRA_BITS = 20
# tn_add_linear.h rounds once, at this many bits below the integers; both factors together must leave its sums in int32.
_LINEAR_SHIFT = 20
_LARGEST_LINEAR = 1 << 22
# The one rounding may need a nudge where the reference's three fall on the other side of a half.
_NUDGES = (0, 1, -1, 4, -4, 16, -16, 64, -64)


@dataclass(frozen=True, kw_only=True)
class _Addition:
    """Both inputs' factors to a scale finer than either, and the factor from there to the output."""

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
        sums = self.rescale.apply_each(fine_a[:, None] + fine_b[None, :])
        return np.clip(sums + self.output.zero_point, self.limits.low, self.limits.high)

    def linear(self) -> tuple[int, int, int] | None:
        """Two factors and an addend with which a * x + b * y + c, shifted, gives the same for every pair of inputs."""
        one = 1 << _LINEAR_SHIFT
        a, b = (round(tensor.scale / self.output.scale * one) for tensor in (self.first, self.second))
        if a + b > _LARGEST_LINEAR:
            return None
        values, expected = np.arange(-128, 128), self.outputs()
        sums = values[:, None] * a + values[None, :] * b
        middle = (self.output.zero_point << _LINEAR_SHIFT) + one // 2
        middle -= self.first.zero_point * a + self.second.zero_point * b
        for nudge in _NUDGES:
            found = np.clip((sums + middle + nudge) >> _LINEAR_SHIFT, self.limits.low, self.limits.high)
            if np.array_equal(found, expected):
                return a, b, middle + nudge
        return None


def lower(operator: Operator) -> Step:
    """Equal shapes, or NumPy's broadcasting in up to four dimensions; one input may be a constant.

    Raises:
        MalformedModelError: shapes that cannot be broadcast.
        UnsupportedError: inputs that are not int8, or scales whose ratio TensorFlow Lite cannot represent.
    """
    first, second = read_pair(operator)
    twice_largest = 2 * max(first.scale, second.scale)
    factor = twice_largest / ((1 << _EXTRA_BITS) * operator.output.scale)
    if factor >= 1.0:
        operator.refuse(f"output scale {operator.output.scale:g} is too fine for inputs at {twice_largest / 2:g}")
    addition = _Addition(
        first=first,
        second=second,
        output=operator.output,
        limits=fused_range(operator, 0),
        rescale_a=quantize_multiplier(first.scale / twice_largest),
        rescale_b=quantize_multiplier(second.scale / twice_largest),
        rescale=quantize_multiplier(factor),
    )
    call = _linear_call(operator, addition) if first.shape == second.shape == operator.output.shape else None
    return Step(
        operator=operator,
        calls=(call or _general_call(operator, addition),),
        overwrites=overwritable(operator, first, second),
        detail=addition.limits.name,
    )


def _linear_call(operator: Operator, addition: _Addition) -> Call | None:
    """One rounding instead of three, where that gives the same."""
    linear, limits = addition.linear(), addition.limits
    if linear is None:
        return None
    parameters = {
        "count": operator.output.elements,
        "multiplier_a": linear[0],
        "multiplier_b": linear[1],
        "addend": linear[2],
        "low": limits.low,
        "high": limits.high,
    }
    saturated = int((limits.low, limits.high) == (-128, 127))
    arguments = (saturated, argument(addition.first, "a"), argument(addition.second, "b"), operator.output)
    return Call(kernel="tn_add_linear", record="tn_add_linear", parameters=parameters, arguments=arguments)


def _general_call(operator: Operator, addition: _Addition) -> Call:
    parameters = {
        **broadcast_parameters(operator, addition.first, addition.second),
        "zero_point_a": addition.first.zero_point,
        "multiplier_a": addition.rescale_a.value,
        "shift_a": addition.rescale_a.shift,
        "zero_point_b": addition.second.zero_point,
        "multiplier_b": addition.rescale_b.value,
        "shift_b": addition.rescale_b.shift,
        "multiplier": addition.rescale.value,
        "shift": addition.rescale.shift,
        "zero_point": operator.output.zero_point,
        "low": addition.limits.low,
        "high": addition.limits.high,
    }
    arguments = (argument(addition.first, "a"), argument(addition.second, "b"), operator.output)
    return Call(kernel="tn_add", record="tn_add", parameters=parameters, arguments=arguments)
