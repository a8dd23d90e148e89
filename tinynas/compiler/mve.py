"""Weights and factors for the vectors of a Cortex-M55. firmware/lib/tn_mve.h says how they are used, and why exact."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinynas.compiler.graph import Operator
from tinynas.compiler.products import Products
from tinynas.compiler.step import Call, Constant, Scratch, Step, Trail
from tinynas.compiler.window import Window, trailing_lag

# Channels that are computed at once.
_LANES = 4
# Of a depthwise convolution: rows and columns of a window, and the bytes of sixteen channels of a column of four rows.
_MOST_TAPS = 4
_COLUMN = 64
# Bytes of a vector.
_VECTOR = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorProducts(Products):
    """Sums of products for a Cortex-M55."""

    @property
    def exact(self) -> bool:
        """Whether no factor shifts to the left."""
        return all(each.shift <= 0 for each in self.multipliers)

    @property
    def form(self) -> str:
        """The form of the kernels: the shorter one where what is negative is clamped away."""
        return "relu" if self.limits.low >= self.zero_point else "signed"

    @property
    def saturated(self) -> bool:
        """Whether outputs are clamped to int8 alone, and no form has to ask whether a factor shifts at all."""
        whole = (self.limits.low, self.limits.high) == (-128, 127)
        return whole and (self.form == "relu" or all(each.shift < 0 for each in self.multipliers))

    @property
    def short(self) -> bool:
        """Whether one vector holds all that a channel sees, and channels come in whole fours."""
        return self.saturated and self.rows.shape[1] <= _VECTOR and len(self.rows) % _LANES == 0

    @property
    def values(self) -> npt.NDArray[np.int32]:
        """Every channel's multiplier."""
        return np.array([each.value for each in self.multipliers], np.int32)

    @property
    def shifts(self) -> npt.NDArray[np.int8]:
        """Every channel's shift to the left."""
        return np.array([each.shift for each in self.multipliers], np.int8)

    @property
    def missing(self) -> int:
        """Channels that are filled up."""
        return max(_LANES - len(self.rows), 0)

    @property
    def parameters(self) -> dict[str, int]:
        """The fields of `struct tn_mve`."""
        return {
            "matmul.depth": self.rows.shape[1],
            "matmul.channels": len(self.rows) + self.missing,
            "matmul.outputs": len(self.rows),
            "matmul.zero_point": self.zero_point,
            "matmul.low": self.limits.low,
            "matmul.high": self.limits.high,
        }

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Weights, bias, multipliers and shifts, in the order of the kernels' arguments."""
        filled = (0, self.missing)
        return (
            Constant(name="weights", values=np.pad(self.rows, (filled, (0, 0))).reshape(-1)),
            Constant(name="bias", values=np.pad(self.bias, filled)),
            Constant(name="multipliers", values=np.pad(self.values, filled)),
            Constant(name="shifts", values=np.pad(self.shifts, filled)),
        )

    def records(self, weights: npt.NDArray[np.int8]) -> Constant:
        """Of each channel of a depthwise convolution, for firmware/lib/tn_mve_depthwise.h.

        weights: (channels, words, up to 4), filled up to words with 0.
        """
        filled = np.pad(weights, ((0, 0), (0, 0), (0, 4 - weights.shape[2])))
        words = np.ascontiguousarray(filled).view("<i4").reshape(len(weights), -1)
        values = np.column_stack([words, self.bias, self.values, self.shifts]).astype(np.int32)
        return Constant(name="weights", values=values.reshape(-1))


def depthwise(operator: Operator, window: Window, products: VectorProducts) -> Step | None:
    """DEPTHWISE_CONV_2D; None where the kernels have no form for it."""
    if not products.exact or not products.saturated:
        return None
    return _line(operator, window, products) or _square_or_row(operator, window, products)


def _line(operator: Operator, window: Window, products: VectorProducts) -> Step | None:
    """Where image and window are one pixel high or wide."""
    along = 0 if window.input[1] == 1 else 1
    across, outputs, taps = 1 - along, window.output[along], window.size[along]
    if window.input[across] != 1 or window.size[across] != 1 or window.output[across] != 1 or window.before[across]:
        return None
    if window.dilation[along] != 1 or (window.stride[along] != 1 and outputs > 1):
        return None
    if taps + min(outputs, _LANES) - 1 > _VECTOR:
        return None
    source = operator.activation()
    call = Call(
        kernel=f"tn_mve_depthwise_line_{products.form}",
        record="tn_mve_line",
        parameters={
            "channels": window.channels,
            "inputs": window.input[along],
            "outputs": outputs,
            "taps": taps,
            "before": window.before[along],
            "padding": source.zero_point,
            "zero_point": products.zero_point,
        },
        arguments=(
            source,
            operator.output,
            Scratch(size=_COLUMN * max(-(-outputs // _LANES) + 3, (outputs + taps + 2) // 4)),
            products.records(np.pad(products.rows, ((0, 0), (0, -taps % 4))).reshape(len(products.rows), -1, 4)),
        ),
    )
    return products.step(operator, window, call, in_place=True)


def _square_or_row(operator: Operator, window: Window, products: VectorProducts) -> Step | None:
    """Windows of up to 4 x 4: squares of outputs, or rows."""
    source, width, channels = operator.activation(), window.output[1], window.channels
    square = max(window.size) < _MOST_TAPS and window.stride == window.dilation == (1, 1)
    if max(window.size) > _MOST_TAPS or width < (2 if square else 3):
        return None
    narrower, staged = width <= window.input[1], _COLUMN * _columns(window, square=square)
    # Of the rows that were overwritten, the next windows may look at one that is kept, or at none.
    kept = 2 * window.input[1] * channels if square and narrower and window.before[0] == 1 else 0
    in_place = narrower and window.before[0] <= (1 if square else window.stride[0] - 1)
    call = Call(
        kernel=f"tn_mve_depthwise_{'square' if square else 'row'}_{products.form}",
        record="tn_mve_depthwise",
        parameters={
            **window.parameters,
            "padding": source.zero_point,
            "zero_point": products.zero_point,
            "kept": staged if kept else 0,
        },
        arguments=(
            source,
            operator.output,
            Scratch(size=staged + kept),
            products.records(products.rows.reshape(-1, *window.size).transpose(0, 2, 1)),
        ),
    )
    # Whole rows of outputs are written while their windows are read, two at a time or, at the end, one.
    blocks = (2 * width, width) if square else (width,)
    lag = max(trailing_lag(window, channels, block=block, staged=False) for block in blocks)
    step = products.step(operator, window, call, in_place=in_place)
    return replace(step, trails=(Trail(tensor=source, lag=lag),))


def _columns(window: Window, *, square: bool) -> int:
    """Staged columns: what the image has and the windows see, and what the last four outputs look at beyond that."""
    width, reach = window.output[1], (window.size[1] - 1) * window.dilation[1]
    image = max(window.before[1] + window.input[1], (width - 1) * window.stride[1] + reach + 1)
    across = 2 if square else 4
    last = (-(-width // across) * across - (2 if square else 1)) * window.stride[1]
    return max(image, last + 3 * window.dilation[1] + 1)
