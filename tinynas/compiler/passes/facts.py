"""What is known of a graph's channels: their intervals, and which of them the network's outputs depend on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.compiler.fixed_point import within_int32
from tinynas.compiler.graph import Graph, Operator, Tensor
from tinynas.compiler.passes.intervals import Interval, anything, of_linear, of_linked
from tinynas.compiler.passes.linear import NAMES, Channels, Linear, Mask, read_linear
from tinynas.compiler.passes.links import Link, read_links

# Far beyond what a microcontroller's flash and RAM hold: whoever exceeds it gets no analysis, but bounded time.
_MOST_CHANNELS = 1 << 18
_MOST_WEIGHTS = 1 << 23


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """intervals: by activation; linears, links: by operator, those without either mix channels in unknown ways;
    edges: indices of tensors whose channels all stay.
    """

    intervals: Mapping[int, Interval]
    linears: Mapping[int, Linear]
    links: Mapping[int, tuple[Link, ...]]
    edges: frozenset[int]


def channels_of(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def within_reason(graph: Graph) -> bool:
    """Whether the analysis of a graph, which may be hostile, takes bounded time and memory."""
    written = [*graph.inputs, *(tensor for operator in graph.operators for tensor in operator.outputs)]
    weights = [
        tensor for operator in graph.operators for tensor in operator.inputs if tensor and tensor.data is not None
    ]
    channels = sum(channels_of(tensor) for tensor in written)
    return channels <= _MOST_CHANNELS and sum(tensor.elements for tensor in weights) <= _MOST_WEIGHTS


def find_facts(graph: Graph) -> Facts:
    """The intervals of all activations, from the inputs on.

    Raises:
        MalformedModelError, UnsupportedError: what the lowering refuses, too.
    """
    intervals = {tensor.index: anything(tensor) for tensor in graph.inputs}
    linears: dict[int, Linear] = {}
    links: dict[int, tuple[Link, ...]] = {}
    edges = {tensor.index for tensor in (*graph.inputs, *graph.outputs)}
    for operator in graph.operators:
        linear = read_linear(operator) if operator.name in NAMES and _is_int8(operator) else None
        linked = read_links(operator) if _is_int8(operator) else None
        if linear is not None:
            linears[operator.index] = linear
            intervals[operator.output.index] = of_linear(operator, linear, intervals)
        elif linked is not None:
            links[operator.index] = linked
            intervals[operator.output.index] = of_linked(operator, linked, intervals)
            positions = {link.position for link in linked}
            edges |= {each.index for n, each in enumerate(operator.inputs) if each is not None and n not in positions}
        else:
            intervals |= {tensor.index: anything(tensor) for tensor in operator.outputs}
            edges |= {tensor.index for tensor in (*operator.activations, *operator.outputs)}
    return Facts(intervals=intervals, linears=linears, links=links, edges=frozenset(edges))


def _is_int8(operator: Operator) -> bool:
    return all(tensor.dtype == "INT8" for tensor in (*operator.activations, *operator.outputs))


@dataclass(frozen=True, kw_only=True, eq=False)
class Folding:
    """A linear operator whose constant inputs moved into the bias.

    weights: as in Linear, 0 where the input was folded and in outputs that need no input; bias: int64 (outputs,), for
    outputs without inputs one that gives their value; reads: (inputs,), those that still count.
    """

    linear: Linear
    bias: Channels
    weights: npt.NDArray[np.int8]
    reads: Mask


def fold(linear: Linear, source: Interval, output: Interval, needed: Mask) -> Folding:
    """needed: (outputs,), those whose value matters.

    A constant input counts the same everywhere in the image, unless a padded window finds another value beyond its
    edge. Where an accumulator or the new bias may leave int32, everything stays as it is.
    """
    sums = linear.reach(source.low, source.high)
    live = needed & ~output.constant
    weights = np.where(live[:, None, None], linear.weights, 0).astype(np.int8)
    bias = np.where(live, linear.bias, np.where(needed, np.clip(sums[0], -(1 << 31), (1 << 31) - 1), 0))
    if linear.source is not None:
        reads = np.zeros(len(source.low), np.bool_)
        np.logical_or.at(reads, linear.source, weights.any(axis=(1, 2)))
        return Folding(linear=linear, bias=bias, weights=weights, reads=reads)
    known = source.constant & ((source.low == linear.zero_point) | (not linear.padded))
    share = weights.sum(axis=1, dtype=np.int64)[:, known] @ (source.low[known] - linear.zero_point)
    safe = live & within_int32(sums[0]) & within_int32(sums[1]) & within_int32(bias + share)
    bias = bias + np.where(safe, share, 0)
    weights[np.ix_(np.flatnonzero(safe), np.arange(weights.shape[1]), np.flatnonzero(known))] = 0
    return Folding(linear=linear, bias=bias, weights=weights, reads=np.asarray(weights.any(axis=(0, 1))))


def find_needed(graph: Graph, facts: Facts) -> dict[int, Mask]:
    """By activation: (channels,), those whose value makes a difference to the network's outputs."""
    needed = {index: np.full(len(each.low), index in facts.edges) for index, each in facts.intervals.items()}
    for operator in reversed(graph.operators):
        if operator.index in facts.linears:
            source = operator.activation().index
            needed[source] |= folding_of(operator, facts, needed).reads
        for link in facts.links.get(operator.index, ()):
            tensor = operator.inputs[link.position]
            if tensor is not None and tensor.data is None:
                needed[tensor.index][link.source[needed[operator.output.index] & (link.source >= 0)]] = True
    return needed


def folding_of(operator: Operator, facts: Facts, needed: Mapping[int, Mask]) -> Folding:
    source, output = operator.activation().index, operator.output.index
    return fold(facts.linears[operator.index], facts.intervals[source], facts.intervals[output], needed[output])
