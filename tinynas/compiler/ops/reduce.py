"""MEAN, SUM and REDUCE_MAX.

Sources: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h, integer_ops/mean.h, and
tensorflow/lite/micro/kernels/reduce_common.cc.
"""

import math

from tinynas.compiler.fixed_point import Multiplier, quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step

# Their sum fits int32.
_MOST_VALUES = 1 << 22


def lower(operator: Operator) -> Step:
    """Over one dimension or several neighbouring ones, which may stay as 1 or go.

    Raises:
        MalformedModelError: dimensions that the input lacks, or an output of another size.
        UnsupportedError: dimensions that are computed or no neighbours, or more than 2^22 values.
    """
    operator.require_operands(2, 2)
    source = operator.activation()
    axes = _axes(operator, len(source.shape))
    first, last = axes[0], axes[-1]
    count = math.prod(source.shape[first : last + 1])
    if count > _MOST_VALUES:
        operator.refuse(f"{count:,} values become one; supported are at most {_MOST_VALUES:,}")
    outer, inner = math.prod(source.shape[:first]), math.prod(source.shape[last + 1 :])
    if operator.output.elements != outer * inner:
        operator.malformed(f"{list(source.shape)} over {axes} -> {list(operator.output.shape)}")
    sizes = {"outer": outer, "count": count, "inner": inner}
    call = _largest(operator, sizes) if operator.name == "REDUCE_MAX" else _sum(operator, sizes)
    return Step(operator=operator, calls=(call,), detail=f"{count:,} values each")


def _sum(operator: Operator, sizes: dict[str, int]) -> Call:
    """The mean is a sum whose factor is divided by the count."""
    source, output = operator.activation(), operator.output
    factor = quantize_multiplier(source.scale / output.scale)
    if operator.name == "MEAN":
        factor = _divided(factor, sizes["count"])
    parameters = {
        **sizes,
        "in_zero_point": source.zero_point,
        "multiplier": factor.value,
        "shift": factor.shift,
        "zero_point": output.zero_point,
    }
    return Call(kernel="tn_mean", record="tn_mean", parameters=parameters, arguments=(source, output))


def _largest(operator: Operator, sizes: dict[str, int]) -> Call:
    source, output = operator.activation(), operator.output
    if (source.scale, source.zero_point) != (output.scale, output.zero_point):
        operator.refuse("input and output have different scales; supported are equal ones")
    return Call(kernel="tn_reduce_max", record="tn_reduce_max", parameters=sizes, arguments=(source, output))


def _axes(operator: Operator, rank: int) -> list[int]:
    """The dimensions to reduce, ascending neighbours."""
    given = operator.constant(1, "INT32").reshape(-1).tolist()
    if not given or any(not -rank <= axis < rank for axis in given):
        operator.malformed(f"dimensions {given[:8]} of {rank}")
    axes = sorted({axis % rank for axis in given})
    if axes[-1] - axes[0] + 1 != len(axes):
        operator.refuse(f"dimensions {axes}; supported are neighbours")
    return axes


def _divided(factor: Multiplier, count: int) -> Multiplier:
    """factor / count. The division keeps as many bits as the shift's range, -31 at least, allows."""
    bits = min(count.bit_length() - 1, 32, 31 + factor.shift)
    return Multiplier(value=(factor.value << bits) // count, shift=factor.shift - bits)
