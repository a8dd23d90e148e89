"""RELU and other functions of one value that are a mere clamp become part of the operator before them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range, fused_range
from tinynas.compiler.graph import Graph, Operator
from tinynas.compiler.ops import lower
from tinynas.compiler.ops.elementwise import NAMES
from tinynas.compiler.step import Constant
from tinynas.errors import CandidateError

# Operators that clamp, by the field of their options that names an activation.
_SLOTS = {
    "ADD": 0,
    "AVERAGE_POOL_2D": 5,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "FULLY_CONNECTED": 0,
    "MAX_POOL_2D": 5,
    "MUL": 0,
    "SUB": 0,
}

# Functions of one value, whose step has a table of 256 outputs where both sides are int8.
_FUNCTIONS = (*NAMES, "QUANTIZE")


def fold_activations(graph: Graph) -> Graph:
    """Without the functions of one value that the operator before them can do by clamping to other limits.

    It can where nothing else reads what it computes, and where the function's table is a clamp of every value that it
    lets through. What the lowering would refuse stays, and is refused there.
    """
    readers = Counter(tensor.index for operator in graph.operators for tensor in operator.activations)
    readers.update(tensor.index for tensor in graph.outputs)
    kept: dict[int, Operator] = {}
    by_output: dict[int, Operator] = {}
    for operator in graph.operators:
        source = operator.inputs[0] if operator.inputs else None
        before = by_output.get(source.index) if source is not None and operator.name in _FUNCTIONS else None
        limits = _limits(before, operator) if before is not None and readers[before.output.index] == 1 else None
        if before is None or limits is None:
            kept[operator.index] = operator
            by_output[operator.output.index] = operator
            continue
        # The rescaling stays that of the tensor between the two.
        output = replace(operator.output, scales=before.output.scales, zero_points=before.output.zero_points)
        remarks = (*before.remarks, f"with the {operator.name} of operator {operator.index}")
        folded = replace(before, outputs=(output,), limits=(limits.low, limits.high), remarks=remarks)
        kept[before.index] = by_output[output.index] = folded
    return replace(graph, operators=tuple(kept.values())) if len(kept) < len(graph.operators) else graph


def _limits(before: Operator, operator: Operator) -> Range | None:
    """To what `before` may clamp instead of `operator`, where it can."""
    if before.name not in _SLOTS or not before.output.dtype == operator.output.dtype == "INT8":
        return None
    try:
        given, table = fused_range(before, _SLOTS[before.name]), _table(operator)
    except CandidateError:
        return None
    values = np.arange(given.low, given.high + 1)
    found = table[values + 128]
    low, high = int(found.min()), int(found.max())
    if low < given.low or high > given.high or not np.array_equal(found, np.clip(values, low, high)):
        return None
    return Range(name=given.name, low=low, high=high)


def _table(operator: Operator) -> npt.NDArray[np.int64]:
    """Its outputs for the values -128 to 127."""
    arguments = lower(operator, "portable").calls[0].arguments
    return next(each.values for each in arguments if isinstance(each, Constant)).astype(np.int64)
