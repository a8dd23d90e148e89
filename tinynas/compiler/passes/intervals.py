"""Which values each channel of each activation can take, whatever the network's input: interval arithmetic on int8.

Channels are indices of the last dimension. Operators without a rule give every int8 value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tinynas.compiler.activation import fused_range
from tinynas.compiler.broadcast import read_pair
from tinynas.compiler.fixed_point import Multiplier, apply_each, can_apply, quantize_multiplier, within_int32
from tinynas.compiler.graph import Operator, Tensor
from tinynas.compiler.ops import lower
from tinynas.compiler.passes.linear import Channels, Linear, Mask
from tinynas.compiler.passes.links import Link
from tinynas.compiler.step import Constant


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """low, high: int64 (channels,): every value of a channel, at every position, lies between them, both included."""

    low: Channels
    high: Channels

    @property
    def constant(self) -> Mask:
        """Channels that have one value everywhere, for every input."""
        return np.equal(self.low, self.high)


Intervals = Mapping[int, Interval]


def anything(tensor: Tensor) -> Interval:
    """Every int8 value."""
    channels = tensor.shape[-1] if tensor.shape else 1
    return Interval(low=np.full(channels, -128, np.int64), high=np.full(channels, 127, np.int64))


def of_linear(operator: Operator, linear: Linear, intervals: Intervals) -> Interval:
    source = intervals[operator.activation().index]
    low, high, _ = linear.outputs(*linear.reach(source.low, source.high))
    return Interval(low=low, high=high)


def of_linked(operator: Operator, links: tuple[Link, ...], intervals: Intervals) -> Interval:
    """The interval of an operator whose output channels come from input channels, one from each input or from one."""
    if operator.name in ("ADD", "MUL"):
        return _RULES[operator.name](operator, intervals)
    output = anything(operator.output)
    low, high = np.full_like(output.low, 127), np.full_like(output.high, -128)
    for link in links:
        found, used = _operand(operator.inputs[link.position], intervals), link.source >= 0
        low[used] = np.minimum(low, found.low[link.source])[used]
        high[used] = np.maximum(high, found.high[link.source])[used]
    gathered = Interval(low=low, high=high)
    return _RULES[operator.name](operator, {operator.output.index: gathered}) if operator.name in _RULES else gathered


def _operand(tensor: Tensor | None, intervals: Intervals) -> Interval:
    """The interval of an input, which may be a constant."""
    assert tensor is not None
    if tensor.data is None:
        return intervals[tensor.index]
    values = tensor.data.astype(np.int64).reshape(-1, tensor.shape[-1] if tensor.shape else 1)
    return Interval(low=values.min(axis=0), high=values.max(axis=0))


def _gathered(operator: Operator, intervals: Intervals) -> Interval:
    return intervals[operator.output.index]


def _pool(operator: Operator, intervals: Intervals) -> Interval:
    """Neither the largest of some values nor their rounded mean leaves their interval."""
    limits, found = fused_range(operator, 5), _gathered(operator, intervals)
    return Interval(low=np.clip(found.low, limits.low, limits.high), high=np.clip(found.high, limits.low, limits.high))


def _pad(operator: Operator, intervals: Intervals) -> Interval:
    """The padding's value joins, even where nothing is padded."""
    found = _gathered(operator, intervals)
    value = operator.output.zero_point
    if len(operator.inputs) > 2 and operator.inputs[2] is not None:
        value = int(operator.constant(2, "INT8").reshape(-1)[0])
    return Interval(low=np.minimum(found.low, value), high=np.maximum(found.high, value))


def _mean(operator: Operator, intervals: Intervals) -> Interval:
    """By the sums of equal values: the mean never decreases when an input grows."""
    given = lower(operator, "portable").calls[0].parameters
    factor = Multiplier(value=given["multiplier"], shift=given["shift"])
    sums = given["count"] * given["count_2"] * (np.arange(-128, 128) - given["in_zero_point"])
    if not np.all(can_apply([factor], sums)):
        return anything(operator.output)
    table = apply_each([factor], sums) + given["zero_point"]
    if not np.all(within_int32(table)):
        return anything(operator.output)
    return _looked_up(np.clip(table, -128, 127), _gathered(operator, intervals))


def _map(operator: Operator, intervals: Intervals) -> Interval:
    """By the operator's own table of 256 outputs."""
    calls = lower(operator, "portable").calls
    tables = [each for each in calls[0].arguments if isinstance(each, Constant)]
    if len(calls) != 1 or calls[0].kernel != "tn_map" or len(tables) != 1:
        return anything(operator.output)
    return _looked_up(tables[0].values.astype(np.int64), _gathered(operator, intervals))


def _looked_up(table: Channels, found: Interval) -> Interval:
    """The least and the largest of a table's entries for the values -128 to 127, over each channel's interval."""
    pairs = {(low, high) for low, high in zip(found.low.tolist(), found.high.tolist(), strict=True)}
    ranges = {(low, high): table[low + 128 : high + 129] for low, high in pairs}
    lows = {pair: int(values.min()) for pair, values in ranges.items()}
    highs = {pair: int(values.max()) for pair, values in ranges.items()}
    each = list(zip(found.low.tolist(), found.high.tolist(), strict=True))
    return Interval(
        low=np.array([lows[pair] for pair in each], np.int64), high=np.array([highs[pair] for pair in each], np.int64)
    )


def _add(operator: Operator, intervals: Intervals) -> Interval:
    """The sum never decreases when an input grows. The arithmetic is that of firmware/lib/tn_add.h."""
    first, second = read_pair(operator)
    twice_largest = 2 * max(first.scale, second.scale)
    factor = quantize_multiplier(twice_largest / ((1 << 20) * operator.output.scale))
    tables = []
    for tensor in (first, second):
        fine = quantize_multiplier(tensor.scale / twice_largest)
        tables.append([fine.apply((value - tensor.zero_point) << 20) for value in range(-128, 128)])
    limits = fused_range(operator, 0)
    a, b = _operand(first, intervals), _operand(second, intervals)

    def total(one: int, other: int) -> int:
        value = factor.apply(tables[0][one + 128] + tables[1][other + 128]) + operator.output.zero_point
        return min(max(value, limits.low), limits.high)

    return Interval(low=_each(total, a.low, b.low), high=_each(total, a.high, b.high))


def _mul(operator: Operator, intervals: Intervals) -> Interval:
    """The product is least and largest in corners. The arithmetic is that of firmware/lib/tn_mul.h."""
    first, second = read_pair(operator)
    factor = quantize_multiplier(first.scale * second.scale / operator.output.scale)
    # The largest product is 255 * 255.
    if factor.shift > 14:
        return anything(operator.output)
    limits = fused_range(operator, 0)
    a, b = _operand(first, intervals), _operand(second, intervals)

    def product(one: int, other: int) -> int:
        value = factor.apply((one - first.zero_point) * (other - second.zero_point)) + operator.output.zero_point
        return min(max(value, limits.low), limits.high)

    corners = [_each(product, one, other) for one in (a.low, a.high) for other in (b.low, b.high)]
    return Interval(low=np.minimum.reduce(corners), high=np.maximum.reduce(corners))


def _each(function: Callable[[int, int], int], first: Channels, second: Channels) -> Channels:
    """function over two lists of values, of equal length or one of length 1; each pair is computed once."""
    one, other = np.broadcast_arrays(first, second)
    pairs = list(zip(one.tolist(), other.tolist(), strict=True))
    found = {pair: function(*pair) for pair in set(pairs)}
    return np.array([found[pair] for pair in pairs], np.int64)


_RULES: dict[str, Callable[[Operator, Intervals], Interval]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "MUL": _mul,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _map,
    "RELU": _map,
    "RELU6": _map,
}
