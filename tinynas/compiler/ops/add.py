"""ADD. Sources: tensorflow/lite/micro/kernels/add_common.cc, reference/integer_ops/add.h."""

from tinynas.compiler.activation import fused_range
from tinynas.compiler.broadcast import argument, broadcast_parameters, overwritable, read_pair
from tinynas.compiler.fixed_point import quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step

_EXTRA_BITS = 20


def lower(operator: Operator) -> Step:
    """Equal shapes, or NumPy's broadcasting in up to four dimensions; one input may be a constant.

    Raises:
        MalformedModelError: shapes that cannot be broadcast.
        UnsupportedError: inputs that are not int8, or scales whose ratio TensorFlow Lite cannot represent.
    """
    first, second = read_pair(operator)
    limits = fused_range(operator, 0)
    twice_largest = 2 * max(first.scale, second.scale)
    factor = twice_largest / ((1 << _EXTRA_BITS) * operator.output.scale)
    if factor >= 1.0:
        operator.refuse(f"output scale {operator.output.scale:g} is too fine for inputs at {twice_largest / 2:g}")
    rescale_a = quantize_multiplier(first.scale / twice_largest)
    rescale_b = quantize_multiplier(second.scale / twice_largest)
    rescale = quantize_multiplier(factor)
    parameters = {
        **broadcast_parameters(operator, first, second),
        "zero_point_a": first.zero_point,
        "multiplier_a": rescale_a.value,
        "shift_a": rescale_a.shift,
        "zero_point_b": second.zero_point,
        "multiplier_b": rescale_b.value,
        "shift_b": rescale_b.shift,
        "multiplier": rescale.value,
        "shift": rescale.shift,
        "zero_point": operator.output.zero_point,
        "low": limits.low,
        "high": limits.high,
    }
    arguments = (argument(first, "a"), argument(second, "b"), operator.output)
    call = Call(kernel="tn_add", record="tn_add", parameters=parameters, arguments=arguments)
    return Step(operator=operator, calls=(call,), overwrites=overwritable(operator, first, second), detail=limits.name)
