"""MINIMUM and MAXIMUM. Source: tensorflow/lite/micro/kernels/maximum_minimum.cc."""

from tinynas.compiler.broadcast import argument, broadcast_parameters, overwritable, read_pair
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step


def lower(operator: Operator) -> Step:
    """Equal shapes, or NumPy's broadcasting in up to four dimensions; one input may be a constant.

    Raises:
        MalformedModelError: shapes that cannot be broadcast.
        UnsupportedError: inputs that are not int8, or scales that differ.
    """
    first, second = read_pair(operator)
    if len({(tensor.scale, tensor.zero_point) for tensor in (first, second, operator.output)}) > 1:
        operator.refuse("inputs and output have different scales; supported are equal ones")
    call = Call(
        kernel="tn_extreme",
        record="tn_extreme",
        parameters=broadcast_parameters(operator, first, second),
        arguments=(
            int(operator.name == "MAXIMUM"),
            argument(first, "a"),
            argument(second, "b"),
            operator.output,
        ),
    )
    return Step(operator=operator, calls=(call,), overwrites=overwritable(operator, first, second))
