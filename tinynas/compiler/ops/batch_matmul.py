"""BATCH_MATMUL. Source: tensorflow/lite/kernels/internal/reference/batch_matmul.h, micro/kernels/batch_matmul.cc."""

import math

from tinynas.compiler.activation import Range
from tinynas.compiler.broadcast import argument, read_pair
from tinynas.compiler.fixed_point import quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.layout import rescale_parameters
from tinynas.compiler.step import Call, Step

_BATCHES = 3


def lower(operator: Operator) -> Step:
    """Up to three batch dimensions, broadcast; either matrix transposed; one of them may be a constant.

    Raises:
        MalformedModelError: shapes that do not fit together.
        UnsupportedError: more dimensions, or inputs that are not int8.
    """
    first, second = read_pair(operator)
    output = operator.output
    adjoint_a, adjoint_b = operator.option(0, "B") != 0, operator.option(1, "B") != 0
    if min(len(first.shape), len(second.shape)) < 2 or max(len(first.shape), len(second.shape)) > _BATCHES + 2:
        operator.refuse(f"{list(first.shape)} x {list(second.shape)}; supported are 2 to {_BATCHES + 2} dimensions")
    rows, depth = _matrix(first.shape, adjoint_a)
    other_depth, columns = _matrix(second.shape, adjoint_b)
    batches = [_batches(tensor.shape) for tensor in (first, second)]
    sizes = [max(pair) for pair in zip(*batches, strict=True)]
    fits = all(size in (1, most) for each in batches for size, most in zip(each, sizes, strict=True))
    if depth != other_depth or not fits or output.elements != math.prod(sizes) * rows * columns:
        operator.malformed(f"{list(first.shape)} x {list(second.shape)} -> {list(output.shape)}")
    factor = quantize_multiplier(first.scale * second.scale / output.scale)
    parameters = {f"batch_{axis}": size for axis, size in enumerate(sizes)}
    for name, each, tensor in (("a", batches[0], first), ("b", batches[1], second)):
        matrix = math.prod(tensor.shape[-2:])
        for axis, size in enumerate(each):
            parameters[f"{name}_{axis}"] = 0 if size == 1 else math.prod(each[axis + 1 :]) * matrix
    parameters |= {
        "rows": rows,
        "depth": depth,
        "columns": columns,
        "a_row": 1 if adjoint_a else depth,
        "a_depth": rows if adjoint_a else 1,
        "b_depth": 1 if adjoint_b else columns,
        "b_column": depth if adjoint_b else 1,
        "zero_point_a": first.zero_point,
        "zero_point_b": second.zero_point,
        "multiplier": factor.value,
        "shift": factor.shift,
        **rescale_parameters([factor], output.zero_point, Range(name="NONE", low=-128, high=127)),
    }
    arguments = (argument(first, "a"), argument(second, "b"), output)
    call = Call(kernel="tn_batch_matmul", record="tn_batch_matmul", parameters=parameters, arguments=arguments)
    return Step(operator=operator, calls=(call,), macs=math.prod(sizes) * rows * depth * columns)


def _matrix(shape: tuple[int, ...], adjoint: bool) -> tuple[int, int]:
    return (shape[-1], shape[-2]) if adjoint else (shape[-2], shape[-1])


def _batches(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (_BATCHES + 2 - len(shape)) + shape[:-2]
