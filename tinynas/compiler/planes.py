"""DEPTHWISE_CONV_2D on CPUs with DSP instructions: four channels at a time, staged as planes of int16.

firmware/lib/tn_planes.h and the kernels beside it say how.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from tinynas.compiler.fixed_point import INT32_MAX
from tinynas.compiler.graph import Operator
from tinynas.compiler.packing import Sums
from tinynas.compiler.step import Call, Constant, Scratch, Step
from tinynas.compiler.window import Window

# Channels staged together, and outputs of a row computed together.
_LANES = 4
# tn_depthwise_3x3.h's forms: words in a row of a strip, and columns of outputs in a strip by stride.
_STRIPS = {"narrow": (4, {1: 6, 2: 3}), "wide": (8, {1: 14, 2: 6})}
# The shifts of multipliers for which tn_depthwise_3x3.h has a literal one, and the first literal's alone. Sums are
# shifted left by up to 8 bits for it.
_LITERAL, _NEAR = range(-16, -2), range(-9, -2)
_LARGEST_SUM = (1 << 23) - 1
# The taps for which tn_depthwise_line.h has a form.
_LINES = (5, 10)
# More rows at a time than fit here bring little.
_BAND_BYTES = 2048


@dataclass(frozen=True, kw_only=True)
class Planes:
    """A window's geometry as the planes have it: pairs are (along the plane's columns, along its rows)."""

    input: tuple[int, int]
    step: tuple[int, int]
    output: tuple[int, int]
    out_step: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    channels: int

    @classmethod
    def of(cls, window: Window) -> Self:
        """The image's rows are the planes' rows."""
        channels = window.channels
        return cls(
            input=window.input,
            step=(window.input[1] * channels, channels),
            output=window.output,
            out_step=(window.output[1] * channels, channels),
            size=window.size,
            stride=window.stride,
            dilation=window.dilation,
            before=window.before,
            channels=channels,
        )

    @property
    def transposed(self) -> Self:
        """The image's rows are the planes' columns."""
        pairs = ("input", "step", "output", "out_step", "size", "stride", "dilation", "before")
        return replace(self, **{name: getattr(self, name)[::-1] for name in pairs})

    @property
    def reach(self) -> tuple[int, int]:
        """The rows and columns that one window covers."""
        return (self.size[0] - 1) * self.dilation[0] + 1, (self.size[1] - 1) * self.dilation[1] + 1

    @property
    def doubled(self) -> bool:
        """Whether neighbouring outputs share words of the plane; then weights are kept in two positions."""
        return self.stride[1] == 1 and self.dilation[1] == 1

    @property
    def taps(self) -> int:
        """Words of weights in a row of the window."""
        return self.size[1] if self.dilation[1] > 1 else (self.size[1] + 1 + self.doubled) // 2

    @property
    def words(self) -> int:
        """Words of inputs in a row of the plane."""
        return -(-((self.output[1] - 1) * self.stride[1] + self.reach[1]) // 2)

    @property
    def pitch(self) -> int:
        """`words`, and those that four outputs at a time load beyond them, to multiply them by 0."""
        if self.doubled:
            columns = self.output[1] - 2 + 2 * self.taps
        else:
            columns = (self.output[1] - 1) * self.stride[1] + (self.taps - 1) * max(2, self.dilation[1]) + 2
        return max(self.words, -(-columns // 2))

    def bytes(self, band: int) -> int:
        """Of four planes with what `band` rows of outputs need."""
        return ((band - 1) * self.stride[0] + self.reach[0]) * self.pitch * 4 * _LANES

    @property
    def work(self) -> int:
        """Instructions for the sums of four outputs."""
        return self.size[0] * (self.taps * (6 if self.doubled else 9) + 4)

    def parameters(self, padding: int) -> dict[str, int]:
        """The fields of `struct tn_planes`."""
        return {
            "planes.rows": self.input[0],
            "planes.columns": self.input[1],
            "planes.row_step": self.step[0],
            "planes.column_step": self.step[1],
            "planes.out_rows": self.output[0],
            "planes.out_columns": self.output[1],
            "planes.out_row_step": self.out_step[0],
            "planes.out_column_step": self.out_step[1],
            "planes.pad_rows": self.before[0],
            "planes.pad_columns": self.before[1],
            "planes.channels": self.channels,
            "planes.padding": padding,
        }


def depthwise(operator: Operator, window: Window, sums: Sums) -> Step | None:
    """The step for sums whose rows are (channels, height * width), or None where no kernel is made for the layer."""
    if window.channels < _LANES:
        return None
    return (
        _depthwise_3x3(operator, window, sums)
        or _depthwise_line(operator, window, sums)
        or _depthwise_staged(operator, window, sums)
    )


def _depthwise_3x3(operator: Operator, window: Window, sums: Sums) -> Step | None:
    stride = window.stride[0]
    if window.size != (3, 3) or window.dilation != (1, 1) or window.stride not in ((1, 1), (2, 2)):
        return None
    if window.output[0] < 2 or sums.variant != "relu" or not _exact(sums):
        return None
    planes = Planes.of(window)
    form = "narrow" if planes.output[1] <= _STRIPS["narrow"][1][stride] else "wide"
    pitch, columns = _STRIPS[form]
    rows = (planes.output[0] - 1) * stride + 3
    near = all(each.shift in _NEAR for each in sums.multipliers)
    call = Call(
        kernel=f"tn_depthwise_3x3_{form}{'' if near else '_every_shift'}",
        record="tn_depthwise_3x3",
        parameters={**planes.parameters(operator.activation().zero_point), "stride": stride},
        arguments=(
            operator.activation(),
            operator.output,
            Scratch(size=4 * _LANES * pitch * rows),
            *_constants(sums, sums.rows),
        ),
    )
    # An output has to lie on its own input, or else on inputs that all were staged before.
    in_place = planes.output == planes.input or planes.output[1] <= columns[stride]
    return sums.step(operator, window, call, in_place=in_place)


def _exact(sums: Sums) -> bool:
    """Whether no channel's sums leave int32 on the way that tn_depthwise_3x3.h takes for it."""
    lowest, highest = sums.reach()
    return all(
        each.shift < 0
        and max(-low, high) <= (_LARGEST_SUM if each.shift in _LITERAL else INT32_MAX - (1 << -each.shift - 1))
        for low, high, each in zip(lowest.tolist(), highest.tolist(), sums.multipliers, strict=True)
    )


def _depthwise_line(operator: Operator, window: Window, sums: Sums) -> Step | None:
    upright = Planes.of(window)
    planes = upright if upright.size[0] == 1 else upright.transposed
    if planes.input[0] != 1 or planes.size[0] != 1 or not planes.doubled or planes.output[1] < 2:
        return None
    if planes.size[1] > _LINES[-1] or sums.variant == "clamped" or not sums.bounded:
        return None
    taps = next(each for each in _LINES if planes.size[1] <= each)
    # What the image gives, or what the last two outputs load: a column more than their taps have.
    columns = planes.before[1] + planes.input[1], (planes.output[1] - 1) // 2 * 2 + taps + 1
    pitch = -(-max(columns) // 2)
    call = Call(
        kernel=f"tn_depthwise_line_{taps}",
        record="tn_depthwise_line",
        parameters={
            **planes.parameters(operator.activation().zero_point),
            "line.column_step": planes.out_step[1],
            "line.columns": planes.output[1],
            "line.rounding": 2 * sums.zero_point + 1,
            "pitch": pitch,
        },
        arguments=(
            operator.activation(),
            operator.output,
            Scratch(size=4 * _LANES * pitch),
            *_constants(sums, np.pad(sums.rows, ((0, 0), (0, taps - planes.size[1])))),
        ),
    )
    return sums.step(operator, window, call, in_place=True)


def _depthwise_staged(operator: Operator, window: Window, sums: Sums) -> Step | None:
    upright = Planes.of(window)
    choices = [
        each
        for each in (upright, upright.transposed)
        if each.output[1] >= _LANES and (each is upright or each.bytes(each.output[0]) <= _BAND_BYTES)
    ]
    if not sums.bounded or not choices:
        return None
    planes = min(choices, key=lambda each: each.work)
    # Only the image's own rows can be written while later ones are still to be read.
    bands = (each for each in range(1, planes.output[0]) if planes.bytes(each + 1) > _BAND_BYTES)
    band = planes.output[0] if planes is not upright else next(bands, planes.output[0])
    kernels = sums.rows.reshape(-1, *window.size)
    weights = kernels if planes is upright else kernels.transpose(0, 2, 1)
    signed = sums.variant != "clamped"
    words = planes.size[0] * planes.taps * _LANES * (2 if planes.doubled else 1)
    call = Call(
        kernel=f"tn_depthwise_{'doubled' if planes.doubled else 'staged'}_{'signed' if signed else 'clamped'}",
        record="tn_depthwise_staged",
        parameters={
            **planes.parameters(operator.activation().zero_point),
            "height": planes.size[0],
            "width": planes.size[1],
            "stride_rows": planes.stride[0],
            "stride_columns": planes.stride[1],
            "dilation_rows": planes.dilation[0],
            "dilation_columns": planes.dilation[1],
            "words": planes.words,
            "pitch": planes.pitch,
            "taps": planes.taps,
            "band": band,
            "rounding": 2 * sums.zero_point + 1,
            "low": sums.limits.low,
            "high": sums.limits.high,
        },
        arguments=(
            operator.activation(),
            operator.output,
            Scratch(size=4 * words + planes.bytes(band)),
            *_constants(sums, weights),
        ),
    )
    return sums.step(operator, window, call, in_place=math.prod(planes.output) <= math.prod(planes.input))


def _constants(sums: Sums, weights: npt.NDArray[np.int8]) -> tuple[Constant, ...]:
    return (
        Constant(name="weights", values=weights.reshape(-1)),
        Constant(name="bias", values=sums.bias),
        Constant(name="multipliers", values=np.array([each.value for each in sums.multipliers], np.int32)),
        Constant(name="shifts", values=np.array([each.shift for each in sums.multipliers], np.int8)),
    )
