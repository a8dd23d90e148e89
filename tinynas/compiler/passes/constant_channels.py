"""Channels that are the same for every input, and channels that nothing reads, are left out.

Trained networks have many: a filter whose output the activation clamps to one value, whatever its inputs. What such a
channel adds to a convolution goes into that one's bias, so the outputs stay the same to the last bit.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinynas.compiler.graph import Graph, Operator, Tensor
from tinynas.compiler.passes.facts import Facts, channels_of, find_facts, find_needed, folding_of, within_reason
from tinynas.compiler.passes.linear import Mask
from tinynas.errors import MalformedModelError, UnsupportedError

# The kernels take channels by fours and pairs: what a filled-up group costs, a broken one costs, too. Measured on vww,
# in millions of instructions for groups of 1, 2, 4 and 8 channels: 5.00, 4.99, 4.76, 4.85.
_GROUP = 4
# Each turn makes channels of neighbours agree; real networks take two or three.
_MOST_TURNS = 64


def drop_constant_channels(graph: Graph) -> Graph:
    """The graph with fewer channels, or the same object where there are none to leave out.

    A graph that its lowering refuses, and one beyond every microcontroller, come back as they are.
    """
    if not within_reason(graph):
        return graph
    try:
        facts = find_facts(graph)
    except (MalformedModelError, UnsupportedError):
        return graph
    needed = find_needed(graph, facts)
    kept = _agree(graph, facts, {index: mask | (index in facts.edges) for index, mask in needed.items()})
    if kept is None or all(mask.all() for mask in kept.values()):
        return graph
    operators = [_rewrite(operator, facts, needed, kept) for operator in graph.operators]
    left_out = sum(int((~mask).sum()) for mask in kept.values())
    return replace(graph, operators=tuple(operators), channels_left_out=graph.channels_left_out + left_out)


def _agree(graph: Graph, facts: Facts, kept: dict[int, Mask]) -> dict[int, Mask] | None:
    """Adds channels until linked tensors keep the same ones, in whole groups; None where that takes too long."""
    for _ in range(_MOST_TURNS):
        before = sum(int(mask.sum()) for mask in kept.values())
        for mask in kept.values():
            _fill_group(mask)
        for operator in (*graph.operators, *reversed(graph.operators)):
            _link(operator, facts, kept)
        if sum(int(mask.sum()) for mask in kept.values()) == before:
            return kept
    return None


def _fill_group(mask: Mask) -> None:
    """Keep a few more channels, for a multiple of _GROUP or all."""
    missing = max(-int(mask.sum()) % _GROUP, 0 if mask.any() else _GROUP)
    mask[np.flatnonzero(~mask)[:missing]] = True


def _link(operator: Operator, facts: Facts, kept: dict[int, Mask]) -> None:
    """Makes the channels of one operator's inputs and output agree."""
    output = kept[operator.output.index]
    linear = facts.linears.get(operator.index)
    if linear is not None and linear.source is not None:
        _couple(kept[operator.activation().index], output, linear.source)
    for link in facts.links.get(operator.index, ()):
        tensor = operator.inputs[link.position]
        if tensor is not None and tensor.data is None:
            _couple(kept[tensor.index], output, link.source)
        elif np.any(link.source < 0):
            # A constant part of a concatenation stays whole.
            output |= link.source >= 0


def _couple(source: Mask, output: Mask, origin: np.ndarray) -> None:
    linked = origin >= 0
    source[origin[output & linked]] = True
    output |= linked & source[origin]


def _shrink(tensor: Tensor, kept: Mapping[int, Mask]) -> Tensor:
    """An activation with the channels that it keeps.

    Its scale stays: a folded activation has left another one with the operator that computes it than with its readers.
    """
    if tensor.data is not None or kept[tensor.index].all():
        return tensor
    return replace(tensor, shape=(*tensor.shape[:-1], int(kept[tensor.index].sum())))


def _rewrite(
    operator: Operator,
    facts: Facts,
    needed: Mapping[int, Mask],
    kept: Mapping[int, Mask],
) -> Operator:
    """The operator on the smaller activations."""
    inputs = tuple(tensor and _shrink(tensor, kept) for tensor in operator.inputs)
    outputs = tuple(_shrink(tensor, kept) for tensor in operator.outputs)
    output = kept[operator.outputs[0].index]
    if operator.index in facts.linears:
        inputs = (inputs[0], *_constants(operator, facts, needed, kept))
    for link in facts.links.get(operator.index, ()):
        constant = operator.inputs[link.position]
        if constant is not None and constant.data is not None:
            mask = np.zeros(channels_of(constant), np.bool_)
            mask[link.source[output & (link.source >= 0)]] = True
            smaller = _along(constant, -1, mask)
            inputs = (*inputs[: link.position], smaller, *inputs[link.position + 1 :])
    remark = _remark(operator, kept)
    remarks = (*operator.remarks, remark) if remark else operator.remarks
    return replace(operator, inputs=inputs, outputs=outputs, remarks=remarks)


def _constants(
    operator: Operator, facts: Facts, needed: Mapping[int, Mask], kept: Mapping[int, Mask]
) -> tuple[Tensor, Tensor]:
    """Weights and bias for the channels that stay, with the others folded in."""
    folding = folding_of(operator, facts, needed)
    linear, (source, output) = folding.linear, (kept[operator.activation().index], kept[operator.output.index])
    weights = operator.inputs[1]
    assert weights is not None
    assert weights.data is not None
    rows = folding.weights[output] if linear.source is not None else folding.weights[output][:, :, source]
    if linear.source is not None:
        axis, values = 3, rows[:, :, 0].T
        shape = (*weights.shape[:3], len(rows))
    elif operator.name == "FULLY_CONNECTED":
        axis, values, shape = 0, rows, (len(rows), rows.shape[1] * rows.shape[2])
    else:
        axis, values, shape = 0, rows, (len(rows), *weights.shape[1:3], rows.shape[2])
    per_channel = len(weights.scales) > 1
    smaller = replace(
        weights,
        shape=shape,
        data=np.ascontiguousarray(values).reshape(shape),
        axis=axis,
        scales=weights.scales[output] if per_channel else weights.scales,
        zero_points=weights.zero_points[output] if per_channel else weights.zero_points,
    )
    bias = Tensor(
        index=weights.index,
        name=f"{weights.name} bias",
        shape=(len(rows),),
        dtype="INT32",
        scales=np.zeros(0, np.float32),
        zero_points=np.zeros(0, np.int64),
        axis=0,
        data=folding.bias[output].astype(np.int32),
    )
    return smaller, bias


def _along(tensor: Tensor, axis: int, mask: Mask) -> Tensor:
    """A constant with some indices of one dimension left out."""
    assert tensor.data is not None
    values = tensor.data.compress(mask, axis=axis)
    return replace(tensor, shape=values.shape, data=values)


def _remark(operator: Operator, kept: Mapping[int, Mask]) -> str:
    """What the reader of the generated code is told. An operator of constants alone is refused later."""
    if not operator.activations:
        return ""
    source, output = (kept[tensor.index] for tensor in (operator.activations[0], operator.output))
    parts = [
        f"{int((~mask).sum())} of {len(mask)}{what} channels"
        for what, mask in ((" input", source), (" output", output))
        if not mask.all()
    ]
    if np.array_equal(source, output):
        parts = [part.replace(" output", "") for part in parts[1:]]
    return f"{' and '.join(parts)} left out: constant or unread" if parts else ""
