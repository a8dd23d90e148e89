"""CONCATENATION and PACK. Source: tensorflow/lite/kernels/internal/reference/concatenation.h, micro/kernels/pack.cc."""

import math

import numpy as np

from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.step import Call, Constant, Step

_MOST_INPUTS = 10


def lower(operator: Operator) -> Step:
    """Along any dimension, up to ten inputs, all with the output's scale: the bytes are copied as they are.

    Raises:
        MalformedModelError: shapes that do not add up, or inputs with another scale than the output.
        UnsupportedError: a fused activation, or inputs that are not int8.
    """
    operator.require_operands(1, _MOST_INPUTS)
    if operator.option(1, "b"):
        operator.refuse("a fused activation; supported is none")
    output = operator.output
    inputs = [tensor for tensor in operator.inputs if tensor is not None]
    rank, axis = len(output.shape), operator.option(0, "i")
    if not -rank <= axis < rank or len(inputs) != len(operator.inputs):
        operator.malformed(f"dimension {axis} of {rank}, or an omitted input")
    axis %= rank
    for tensor in inputs:
        _check(operator, tensor, axis)
    if sum(tensor.shape[axis] for tensor in inputs) != output.shape[axis]:
        operator.malformed(f"{[list(tensor.shape) for tensor in inputs]} -> {list(output.shape)} along {axis}")
    inner = math.prod(output.shape[axis + 1 :])
    return _joined(operator, inputs, axis, [tensor.shape[axis] * inner for tensor in inputs])


def lower_pack(operator: Operator) -> Step:
    """Along a new dimension, up to ten inputs of one shape.

    Raises:
        MalformedModelError: shapes that do not agree, or inputs with another scale than the output.
        UnsupportedError: inputs that are not int8.
    """
    operator.require_operands(1, _MOST_INPUTS)
    output = operator.output
    inputs = [tensor for tensor in operator.inputs if tensor is not None]
    rank, axis = len(output.shape), operator.option(1, "i")
    if not -rank <= axis < rank or len(inputs) != len(operator.inputs):
        operator.malformed(f"dimension {axis} of {rank}, or an omitted input")
    axis %= rank
    for tensor in inputs:
        _check_type(operator, tensor)
        if (*tensor.shape[:axis], len(inputs), *tensor.shape[axis:]) != output.shape:
            operator.malformed(f"{len(inputs)} times {list(tensor.shape)} -> {list(output.shape)} along {axis}")
    return _joined(operator, inputs, axis, [math.prod(output.shape[axis + 1 :])] * len(inputs))


def _joined(operator: Operator, inputs: list[Tensor], axis: int, row_bytes: list[int]) -> Step:
    """Each input's rows of so many bytes, side by side."""
    output = operator.output
    calls, offset = [], 0
    for number, tensor in enumerate(inputs):
        parameters = {
            "rows": math.prod(output.shape[:axis]),
            "row_bytes": row_bytes[number],
            "out_pitch": sum(row_bytes),
            "out_offset": offset,
        }
        arguments = (_source(tensor, number), output)
        calls.append(Call(kernel="tn_copy_rows", record="tn_copy_rows", parameters=parameters, arguments=arguments))
        offset += row_bytes[number]
    return Step(operator=operator, calls=tuple(calls), detail=f"along dimension {axis}")


def _check(operator: Operator, tensor: Tensor, axis: int) -> None:
    output = operator.output
    others = [size for dimension, size in enumerate(tensor.shape) if dimension != axis]
    if len(tensor.shape) != len(output.shape) or others != [*output.shape[:axis], *output.shape[axis + 1 :]]:
        operator.malformed(f"{list(tensor.shape)} does not fit into {list(output.shape)} along dimension {axis}")
    _check_type(operator, tensor)


def _check_type(operator: Operator, tensor: Tensor) -> None:
    output = operator.output
    if tensor.dtype != "INT8" or len(tensor.scales) != 1:
        operator.refuse(f"input {tensor.name!r} is {tensor.dtype}; supported is int8")
    if (tensor.scale, tensor.zero_point) != (output.scale, output.zero_point):
        operator.refuse(f"input {tensor.name!r} and the output have different scales; supported are equal ones")


def _source(tensor: Tensor, number: int) -> Tensor | Constant:
    if tensor.data is None:
        return tensor
    return Constant(name=f"input_{number}", values=tensor.data.reshape(-1).astype(np.int8))
