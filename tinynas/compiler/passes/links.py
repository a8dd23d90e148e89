"""Operators that keep channels apart: which channel of which input each channel of the output comes from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.compiler.graph import Operator, Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """source: (output channels,), the channel of the input at `position` that each comes from, -1 for none."""

    position: int
    source: npt.NDArray[np.intp]


def read_links(operator: Operator) -> tuple[Link, ...] | None:
    """The links of all activations and of constants that have channels, or None where channels are mixed.

    Raises:
        MalformedModelError, UnsupportedError: what the operator's lowering refuses, too.
    """
    if len(operator.outputs) != 1 or not operator.output.shape:
        return None
    if any(tensor is not None and not tensor.shape for tensor in operator.inputs):
        return None
    return _READERS[operator.name](operator) if operator.name in _READERS else None


def _same(operator: Operator) -> tuple[Link, ...] | None:
    return _alike(operator, [operator.activation()])


def _padded(operator: Operator) -> tuple[Link, ...] | None:
    paddings = operator.constant(1, "INT32").reshape(-1)
    apart = len(paddings) == 2 * len(operator.output.shape) and not paddings[-2:].any()
    return _same(operator) if apart else None


def _mean(operator: Operator) -> tuple[Link, ...] | None:
    axes, rank = operator.constant(1, "INT32").reshape(-1), len(operator.activation().shape)
    return None if np.any(axes % rank == rank - 1) else _same(operator)


def _alike(operator: Operator, tensors: list[Tensor]) -> tuple[Link, ...] | None:
    """Every input, which come first, has the output's channels."""
    channels = operator.output.shape[-1]
    if any(tensor.shape[-1] != channels for tensor in tensors):
        return None
    return tuple(Link(position=position, source=np.arange(channels)) for position in range(len(tensors)))


def _pair(operator: Operator) -> tuple[Link, ...] | None:
    """An input with one value for all channels is no link."""
    operator.require_operands(2, 2)
    channels = operator.output.shape[-1]
    sizes = [tensor.shape[-1] if tensor is not None else 0 for tensor in operator.inputs]
    if any(size not in (1, channels) for size in sizes) or channels not in sizes:
        return None
    return tuple(
        Link(position=position, source=np.arange(channels)) for position, size in enumerate(sizes) if size == channels
    )


def _reshaped(operator: Operator) -> tuple[Link, ...] | None:
    """Whole pixels that are put one after the other keep their channels: 1x3x3x8 to 1x72."""
    channels, outputs = operator.activation().shape[-1], operator.output.shape[-1]
    if outputs % channels or operator.activation().elements != operator.output.elements:
        return None
    return (Link(position=0, source=np.arange(outputs) % channels),)


def _concatenated(operator: Operator) -> tuple[Link, ...] | None:
    rank, axis = len(operator.output.shape), operator.option(0, "i")
    tensors = [tensor for tensor in operator.inputs if tensor is not None]
    if not -rank <= axis < rank or len(tensors) != len(operator.inputs):
        return None
    if any(tensor.dtype != "INT8" for tensor in tensors):
        return None
    if axis % rank != rank - 1:
        return _alike(operator, tensors)
    sizes = [tensor.shape[-1] for tensor in tensors]
    if sum(sizes) != operator.output.shape[-1]:
        return None
    links, start = [], 0
    for position, size in enumerate(sizes):
        source = np.full(sum(sizes), -1, np.intp)
        source[start : start + size] = np.arange(size)
        links.append(Link(position=position, source=source))
        start += size
    return tuple(links)


_READERS: dict[str, Callable[[Operator], tuple[Link, ...] | None]] = {
    "ADD": _pair,
    "AVERAGE_POOL_2D": _same,
    "CONCATENATION": _concatenated,
    "EXPAND_DIMS": _reshaped,
    "MAX_POOL_2D": _same,
    "MEAN": _mean,
    "MUL": _pair,
    "PAD": _padded,
    "PADV2": _padded,
    "QUANTIZE": _same,
    "RELU": _same,
    "RELU6": _same,
    "RESHAPE": _reshaped,
    "RESIZE_NEAREST_NEIGHBOR": _same,
    "SQUEEZE": _reshaped,
}
