"""MEAN, SUM and REDUCE_MAX.

Sources: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h, integer_ops/mean.h, and
tensorflow/lite/micro/kernels/reduce_common.cc.
"""

import math
from itertools import groupby

from tinynas.compiler.fixed_point import Multiplier, quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.step import Call, Step
from tinynas.compiler.symmetric import takes_int16

# Their sum fits int32.
_MOST_VALUES = 1 << 22
_MOST_INT16 = 1 << 15


def lower(operator: Operator) -> Step:
    """Over any dimensions of up to four, which may stay as 1 or go; of more, over one or two runs of neighbours.

    Raises:
        MalformedModelError: dimensions that the input lacks, or an output of another size.
        UnsupportedError: dimensions that are computed or in more than two runs, or more than 2^22 values, or 2^15
            of int16.
    """
    operator.require_operands(2, 2)
    source = operator.activation()
    axes = _axes(operator, len(source.shape))
    sizes = _sizes(operator, source.shape, axes)
    count = sizes["count"] * sizes["count_2"]
    wide = takes_int16(operator)
    most = _MOST_INT16 if wide else _MOST_VALUES
    if count > most:
        operator.refuse(f"{count:,} values become one; supported are at most {most:,}")
    if operator.output.elements * count != source.elements:
        operator.malformed(f"{list(source.shape)} over {axes} -> {list(operator.output.shape)}")
    call = _largest(operator, sizes) if operator.name == "REDUCE_MAX" else _sum(operator, sizes, wide)
    return Step(operator=operator, calls=(call,), detail=f"{'int16, ' if wide else ''}{count:,} values each")


def _sizes(operator: Operator, shape: tuple[int, ...], axes: list[int]) -> dict[str, int]:
    """The input as outer x count x middle x count_2 x inner, of which both counts are reduced."""
    # Dimensions of 1 are joined with any neighbour.
    marked = [(axis in axes, size) for axis, size in enumerate(shape) if size > 1]
    runs = [(reduced, math.prod(size for _, size in run)) for reduced, run in groupby(marked, lambda each: each[0])]
    if sum(reduced for reduced, _ in runs) > 2:
        operator.refuse(f"dimensions {axes} of {list(shape)}; supported are at most two runs of neighbours")
    # A single run is the second one: its sum is the innermost loop.
    missing = 2 - sum(reduced for reduced, _ in runs)
    found = [1] * (2 * missing)
    for reduced, size in runs:
        if reduced == (len(found) % 2 == 0):
            found.append(1)
        found.append(size)
    found += [1] * (5 - len(found))
    return dict(zip(("outer", "count", "middle", "count_2", "inner"), found, strict=True))


def _sum(operator: Operator, sizes: dict[str, int], wide: bool) -> Call:
    """The mean is a sum whose factor is divided by the count."""
    source, output = operator.activation(), operator.output
    factor = quantize_multiplier(source.scale / output.scale)
    if operator.name == "MEAN":
        factor = _divided(factor, sizes["count"] * sizes["count_2"])
    parameters = {
        **sizes,
        "in_zero_point": source.zero_point,
        "multiplier": factor.value,
        "shift": factor.shift,
        "zero_point": output.zero_point,
    }
    kernel = "tn_mean_16" if wide else "tn_mean"
    return Call(kernel=kernel, record="tn_mean", parameters=parameters, arguments=(source, output))


def _largest(operator: Operator, sizes: dict[str, int]) -> Call:
    source, output = operator.activation(), operator.output
    if (source.scale, source.zero_point) != (output.scale, output.zero_point):
        operator.refuse("input and output have different scales; supported are equal ones")
    return Call(kernel="tn_reduce_max", record="tn_reduce_max", parameters=sizes, arguments=(source, output))


def _axes(operator: Operator, rank: int) -> list[int]:
    """The dimensions to reduce, ascending."""
    given = operator.constant(1, "INT32").reshape(-1).tolist()
    if not given or any(not -rank <= axis < rank for axis in given):
        operator.malformed(f"dimensions {given[:8]} of {rank}")
    return sorted({axis % rank for axis in given})


def _divided(factor: Multiplier, count: int) -> Multiplier:
    """factor / count. The division keeps as many bits as the shift's range, -31 at least, allows."""
    bits = min(count.bit_length() - 1, 32, 31 + factor.shift)
    return Multiplier(value=(factor.value << bits) // count, shift=factor.shift - bits)
