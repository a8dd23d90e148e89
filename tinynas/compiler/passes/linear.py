"""What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED share: sums of weighted channels, rescaled and clamped."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import Range, fused_range
from tinynas.compiler.fixed_point import Multiplier, apply_each, can_apply, within_int32
from tinynas.compiler.graph import Operator
from tinynas.compiler.layout import channel_multipliers, read_bias, read_weights
from tinynas.compiler.ops.conv_2d import convolution_window
from tinynas.compiler.ops.depthwise_conv_2d import depthwise_window
from tinynas.compiler.ops.fully_connected import output_multipliers

NAMES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

Channels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """One operator of NAMES.

    weights: int8 (outputs, taps, inputs), of a depthwise operator (outputs, taps, 1); source: the input channel of each
    output channel of a depthwise operator, None where each output reads all inputs; bias: int64 (outputs,), inside
    int32; padded: whether a window may reach beyond the image, where it finds the input's zero point.
    """

    weights: npt.NDArray[np.int8]
    bias: Channels
    source: npt.NDArray[np.intp] | None
    multipliers: tuple[Multiplier, ...]
    zero_point: int
    output_zero_point: int
    limits: Range
    padded: bool

    def reach(self, low: Channels, high: Channels) -> tuple[Channels, Channels]:
        """Bounds of every output channel's accumulator; low, high: (inputs,), those of the input's values."""
        if self.padded:
            low, high = np.minimum(low, self.zero_point), np.maximum(high, self.zero_point)
        low, high = low - self.zero_point, high - self.zero_point
        positive = np.maximum(self.weights, 0).sum(axis=1, dtype=np.int64)
        negative = np.minimum(self.weights, 0).sum(axis=1, dtype=np.int64)
        if self.source is not None:
            positive, negative, low, high = positive[:, 0], negative[:, 0], low[self.source], high[self.source]
            return self.bias + positive * low + negative * high, self.bias + positive * high + negative * low
        return self.bias + positive @ low + negative @ high, self.bias + positive @ high + negative @ low

    def outputs(self, lowest: Channels, highest: Channels) -> tuple[Channels, Channels, Mask]:
        """Bounds of the outputs for bounds of the accumulators, and where the arithmetic is sure not to wrap.

        The rescaling never decreases, so bounds give bounds; where something may wrap, all that the clamp lets through
        is possible.
        """
        low, low_fits = self._rescaled(lowest)
        high, high_fits = self._rescaled(highest)
        exact = low_fits & high_fits
        return np.where(exact, low, self.limits.low), np.where(exact, high, self.limits.high), exact

    def _rescaled(self, sums: Channels) -> tuple[Channels, Mask]:
        fits = can_apply(self.multipliers, sums)
        values = apply_each(self.multipliers, np.where(fits, sums, 0)) + self.output_zero_point
        return np.clip(values, self.limits.low, self.limits.high), fits & within_int32(values)


def read_linear(operator: Operator) -> Linear | None:
    """The operator's weights and geometry, or None where its last dimensions are not the channels of a plain form.

    Raises:
        MalformedModelError, UnsupportedError: what its lowering refuses, too.
    """
    operator.require_operands(2, 3)
    weights, values = read_weights(operator, axis=3 if operator.name == "DEPTHWISE_CONV_2D" else 0)
    source, output = operator.activation(), operator.output
    if not source.shape or not output.shape:
        return None
    inputs, outputs, padded, origin = source.shape[-1], output.shape[-1], False, None
    if operator.name == "FULLY_CONNECTED":
        if values.ndim != 2 or values.shape[1] % inputs or len(values) != outputs:
            return None
        rows = values.reshape(outputs, -1, inputs)
        limits, multipliers = fused_range(operator, 0), output_multipliers(operator, weights)
    elif operator.name == "CONV_2D":
        padded = convolution_window(operator, values.shape).reaches_outside
        if values.shape[3] != inputs or len(values) != outputs:
            return None
        rows = values.reshape(outputs, -1, inputs)
        limits, multipliers = fused_range(operator, 3), channel_multipliers(operator, weights)
    else:
        padded = depthwise_window(operator, values.shape).reaches_outside
        if values.shape[3] != outputs or outputs % inputs:
            return None
        origin = np.arange(outputs) // (outputs // inputs)
        rows = values.reshape(-1, outputs).T[:, :, None]
        limits, multipliers = fused_range(operator, 4), channel_multipliers(operator, weights)
    return Linear(
        weights=rows,
        bias=read_bias(operator, 2, outputs),
        source=origin,
        multipliers=tuple(multipliers),
        zero_point=source.zero_point,
        output_zero_point=output.zero_point,
        limits=limits,
        padded=padded,
    )
