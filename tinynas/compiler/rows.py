"""Which rows of each activation exist when operators run in turn on a few rows at a time.

A patch is what one turn adds: a strip of rows of the last output, and of every activation before it the rows that these
need and that no patch had computed yet. Rows that a later patch reads again stay in memory, so nothing is computed
twice. Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference", 2021, compute them again instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tinynas.compiler.graph import Operator
from tinynas.compiler.ops import elementwise
from tinynas.compiler.ops.conv_2d import convolution_window
from tinynas.compiler.ops.depthwise_conv_2d import depthwise_window
from tinynas.compiler.ops.pool_2d import pool_window
from tinynas.compiler.window import Window

# Each value of their output follows from one of each input.
_EACH = (*elementwise.NAMES, "ADD", "DEQUANTIZE", "MUL", "QUANTIZE", "SUB")


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Row y of the output needs `size` rows of each input from y * stride - before on.

    columns: zero points before and after each of these rows; None where there is no window.
    """

    size: int = 1
    stride: int = 1
    before: int = 0
    columns: tuple[int, int] | None = None

    def first(self, row: int) -> int:
        """The first row needed for the output's `row`; negative: outside of the image."""
        return row * self.stride - self.before

    def end(self, rows: int) -> int:
        """Behind the last row needed for the output's first `rows`."""
        return self.first(rows - 1) + self.size


def reach_of(operator: Operator) -> Reach | None:
    """None where an operator cannot be computed a few rows at a time, or there is no code for that."""
    images = (*operator.activations, operator.output)
    if any(len(tensor.shape) != 4 or tensor.shape[0] != 1 for tensor in images):
        return None
    if operator.name in _WINDOWS:
        return _window_reach(_WINDOWS[operator.name](operator))
    if operator.name not in _EACH:
        return None
    same = all(tensor.shape == operator.output.shape for tensor in images)
    constants = (tensor for tensor in operator.inputs if tensor is not None and tensor.data is not None)
    # A constant that changes from row to row would have to be cut, too.
    level = all(len(tensor.shape) < 3 or tensor.shape[-3] == 1 for tensor in constants)
    return Reach() if same and level else None


def _window_reach(window: Window) -> Reach:
    reaches = tuple((size - 1) * dilation + 1 for size, dilation in zip(window.size, window.dilation, strict=True))
    left = window.before[1]
    right = (window.output[1] - 1) * window.stride[1] + reaches[1] - window.input[1] - left
    return Reach(size=reaches[0], stride=window.stride[0], before=window.before[0], columns=(left, max(right, 0)))


def _weights_shape(operator: Operator) -> tuple[int, ...]:
    weights = operator.inputs[1]
    return () if weights is None else weights.shape


_WINDOWS: Mapping[str, Callable[[Operator], Window]] = {
    "AVERAGE_POOL_2D": pool_window,
    "CONV_2D": lambda operator: convolution_window(operator, _weights_shape(operator)),
    "DEPTHWISE_CONV_2D": lambda operator: depthwise_window(operator, _weights_shape(operator)),
    "MAX_POOL_2D": pool_window,
}


@dataclass(frozen=True, kw_only=True)
class Span:
    """Rows of an activation in one patch: from `first` on they lie in memory, from `start` on they are new."""

    first: int
    start: int
    end: int


Spans = Mapping[int, tuple[Span, ...]]


def plan_rows(operators: Sequence[Operator], reaches: Sequence[Reach], rows: int) -> Spans | None:
    """The spans of every activation by its index, one for each patch; None where a window sees nothing but padding.

    operators: the first one reads one activation, and of all their outputs only the last one's is read by others.
    rows: of that one in a patch. All of what `operators` read from outside is there from the start.
    """
    output = operators[-1].output
    heights = {tensor.index: tensor.shape[1] for each in operators for tensor in (*each.activations, each.output)}
    readers: dict[int, list[tuple[int, Reach]]] = {index: [] for index in heights}
    for operator, reach in zip(operators, reaches, strict=True):
        for tensor in operator.activations:
            readers[tensor.index].append((operator.output.index, reach))
    starts = range(rows, output.shape[1] + rows, rows)
    last = _without_last_alone([min(end, output.shape[1]) for end in starts])
    ends = {output.index: last[: last.index(output.shape[1]) + 1]}
    for index in [operator.output.index for operator in reversed(operators[:-1])] + [operators[0].activations[0].index]:
        needs = [
            min(max(reach.end(rows) for rows, reach in each), heights[index])
            for each in zip(*([(end, reach) for end in ends[reader]] for reader, reach in readers[index]), strict=True)
        ]
        if needs[0] < 1:
            return None
        ends[index] = _without_last_alone(needs)
    return {index: _spans(ends, index, readers[index]) for index in ends}


def _without_last_alone(ends: list[int]) -> list[int]:
    """With a last row that would be computed alone among those before: kernels have faster forms for several rows."""
    steps = zip([0, *ends], ends, strict=False)
    return [ends[-1] if ends[-1] - end == 1 < end - before else end for before, end in steps]


def _spans(ends: Mapping[int, list[int]], index: int, readers: Sequence[tuple[int, Reach]]) -> tuple[Span, ...]:
    spans = []
    for patch, end in enumerate(ends[index]):
        start = ends[index][patch - 1] if patch else 0
        done = ((ends[reader][patch - 1] if patch else 0, ends[reader][-1], reach) for reader, reach in readers)
        needed = [max(reach.first(rows), 0) for rows, limit, reach in done if rows < limit]
        spans.append(Span(first=min([start, *needed]), start=start, end=end))
    return tuple(spans)
