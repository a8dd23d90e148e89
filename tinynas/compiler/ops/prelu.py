"""PRELU. Sources: tensorflow/lite/micro/kernels/prelu_common.cc, tensorflow/lite/kernels/internal/reference/prelu.h."""

from tinynas.compiler.broadcast import argument, broadcast_parameters, overwritable, read_pair
from tinynas.compiler.fixed_point import quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step


def lower(operator: Operator) -> Step:
    """Slopes of the input's shape or such that NumPy broadcasts them to it, in up to four dimensions.

    Raises:
        MalformedModelError: shapes that cannot be broadcast.
        UnsupportedError: slopes that are not int8 with one scale.
    """
    source, slopes = read_pair(operator)
    ratio = source.scale / operator.output.scale
    above, below = quantize_multiplier(ratio), quantize_multiplier(source.scale * slopes.scale / operator.output.scale)
    parameters = {
        **broadcast_parameters(operator, source, slopes),
        "zero_point_a": source.zero_point,
        "zero_point_b": slopes.zero_point,
        "multiplier_above": above.value,
        "shift_above": above.shift,
        "multiplier_below": below.value,
        "shift_below": below.shift,
        "zero_point": operator.output.zero_point,
    }
    arguments = (argument(source, "a"), argument(slopes, "b"), operator.output)
    call = Call(kernel="tn_prelu", record="tn_prelu", parameters=parameters, arguments=arguments)
    return Step(operator=operator, calls=(call,), overwrites=overwritable(operator, source))
