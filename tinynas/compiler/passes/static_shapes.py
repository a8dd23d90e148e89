"""Arithmetic on shapes: what SHAPE and the operators behind it compute is known once shapes are static.

Converters write it for a RESHAPE whose target follows from another tensor's shape, such as Flatten with an open batch.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinynas.compiler.graph import Graph, Operator, Tensor
from tinynas.compiler.ops.movement import strided_view

# A shape has a few numbers; whatever computes with more is no arithmetic on shapes.
_MOST_VALUES = 64

_Values = npt.NDArray[Any]


def fold_static_shapes(graph: Graph) -> Graph:
    """Without the operators whose int32 output follows from shapes and constants, which takes their place.

    What leaves the network stays, and so does what is no arithmetic on shapes.

    Raises:
        MalformedModelError: such an operator contradicts itself.
    """
    ends = {tensor.index for tensor in graph.outputs}
    known: dict[int, Tensor] = {}
    kept: list[Operator] = []
    for each in graph.operators:
        inputs = tuple(tensor and known.get(tensor.index, tensor) for tensor in each.inputs)
        operator = replace(each, inputs=inputs)
        if operator.output.index in ends or not _is_known(operator):
            kept.append(operator)
            continue
        values = np.asarray(_FOLDS[operator.name](operator), np.int32)
        if values.shape != operator.output.shape:
            operator.malformed(f"gives shape {list(values.shape)}, the output has {list(operator.output.shape)}")
        known[operator.output.index] = replace(operator.output, data=values)
    return replace(graph, operators=tuple(kept)) if known else graph


def _is_known(operator: Operator) -> bool:
    if operator.name not in _FOLDS or len(operator.outputs) != 1 or not operator.inputs or None in operator.inputs:
        return False
    if operator.output.dtype != "INT32" or operator.output.elements > _MOST_VALUES:
        return False
    return operator.name == "SHAPE" or all(
        tensor.data is not None and tensor.dtype == "INT32" and tensor.elements <= _MOST_VALUES
        for tensor in operator.inputs
        if tensor is not None
    )


def _values(operator: Operator) -> list[_Values]:
    return [tensor.data for tensor in operator.inputs if tensor is not None and tensor.data is not None]


def _shape(operator: Operator) -> tuple[int, ...]:
    operator.require_operands(1, 1)
    tensor = operator.inputs[0]
    return () if tensor is None else tensor.shape


def _strided_slice(operator: Operator) -> _Values:
    operator.require_operands(4, 4)
    source = _values(operator)[0]
    view = strided_view(operator, source.shape)
    steps = (np.arange(size) * stride for size, stride in zip(view.sizes, view.strides, strict=True))
    places = functools.reduce(np.add.outer, steps, np.array(view.start))
    return _as_declared(operator, source.reshape(-1)[places])


def _as_declared(operator: Operator, values: _Values) -> _Values:
    """The values in the output's shape, which says what dimensions of 1 are there."""
    if values.size != operator.output.elements:
        operator.malformed(f"gives {values.size} values, the output has {operator.output.elements}")
    return values.reshape(operator.output.shape)


def _joined(operator: Operator, slot: int, join: Callable[..., _Values], extra: int) -> _Values:
    """CONCATENATION or PACK along the dimension in options field `slot`; `extra`: how many dimensions it adds."""
    values = _values(operator)
    rank, axis = values[0].ndim + extra, operator.option(slot, "i")
    others = [value.shape[: axis % rank] + value.shape[axis % rank + 1 - extra :] for value in values] if rank else []
    if not -rank <= axis < rank or any(value.ndim + extra != rank for value in values) or len(set(others)) != 1:
        operator.malformed(f"joins {[list(value.shape) for value in values]} along dimension {axis}")
    return join(values, axis=axis)


def _concatenation(operator: Operator) -> _Values:
    if operator.option(1, "b"):
        operator.refuse("a fused activation; supported is none")
    return _joined(operator, 0, np.concatenate, 0)


def _pack(operator: Operator) -> _Values:
    return _joined(operator, 1, np.stack, 1)


def _reshape(operator: Operator) -> _Values:
    operator.require_operands(1, 2)
    return _as_declared(operator, _values(operator)[0])


_FOLDS: Mapping[str, Callable[[Operator], Any]] = {
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "RESHAPE": _reshape,
    "SHAPE": _shape,
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _strided_slice,
}
