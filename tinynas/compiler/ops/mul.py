"""MUL. Sources: tensorflow/lite/micro/kernels/mul_common.cc, reference/integer_ops/mul.h."""

from tinynas.compiler.activation import fused_range
from tinynas.compiler.broadcast import argument, broadcast_parameters, overwritable, read_pair
from tinynas.compiler.fixed_point import quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step


def lower(operator: Operator) -> Step:
    """Equal shapes, or NumPy's broadcasting in up to four dimensions; one input may be a constant.

    Raises:
        MalformedModelError: shapes that cannot be broadcast.
        UnsupportedError: inputs that are not int8.
    """
    first, second = read_pair(operator)
    limits = fused_range(operator, 0)
    factor = quantize_multiplier(first.scale * second.scale / operator.output.scale)
    parameters = {
        **broadcast_parameters(operator, first, second),
        "zero_point_a": first.zero_point,
        "zero_point_b": second.zero_point,
        "multiplier": factor.value,
        "shift": factor.shift,
        "zero_point": operator.output.zero_point,
        "low": limits.low,
        "high": limits.high,
    }
    arguments = (argument(first, "a"), argument(second, "b"), operator.output)
    call = Call(kernel="tn_mul", record="tn_mul", parameters=parameters, arguments=arguments)
    return Step(operator=operator, calls=(call,), overwrites=overwritable(operator, first, second), detail=limits.name)
