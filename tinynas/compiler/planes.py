"""DEPTHWISE_CONV_2D on CPUs with DSP instructions: four channels at a time, staged as planes of int16.

firmware/lib/tn_planes.h and tn_depthwise_3x3.h say how.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from tinynas.compiler.fixed_point import INT32_MAX
from tinynas.compiler.graph import Operator
from tinynas.compiler.packing import Sums
from tinynas.compiler.step import Call, Constant, Scratch, Step
from tinynas.compiler.window import Window

_LANES = 4
# Columns that a strip of tn_depthwise_3x3.h consumes.
_STRIP = 6
# Channels with these shifts take tn_depthwise_3x3.h's short way: sums are shifted left by up to 8 bits in advance.
_SHORT_WAY = range(-9, -2)
_LARGEST_SUM = (1 << 23) - 1


@dataclass(frozen=True, kw_only=True)
class Planes:
    """A window's geometry as the planes have it: pairs are (along the plane's rows, along its columns)."""

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


def _exact(sums: Sums) -> bool:
    """Whether no channel's sums leave int32 on the way that it takes."""
    lowest, highest = sums.reach()
    return all(
        each.shift < 0
        and max(-low, high) <= (_LARGEST_SUM if each.shift in _SHORT_WAY else INT32_MAX - (1 << -each.shift - 1))
        for low, high, each in zip(lowest.tolist(), highest.tolist(), sums.multipliers, strict=True)
    )


def depthwise_3x3(operator: Operator, window: Window, sums: Sums) -> Step | None:
    """The step for a window of 3x3, or None where the kernel is not made for the layer."""
    stride = window.stride[0]
    if window.size != (3, 3) or window.dilation != (1, 1) or window.stride not in ((1, 1), (2, 2)):
        return None
    if window.channels < _LANES or window.output[0] < 2 or sums.variant != "relu":
        return None
    if not _exact(sums):
        return None
    planes = Planes.of(window)
    rows = (planes.output[0] - 1) * stride + 3
    call = Call(
        kernel="tn_depthwise_3x3",
        record="tn_depthwise_3x3",
        parameters={
            **planes.parameters(operator.activation().zero_point),
            "stride": stride,
            "step": int(len(sums.multipliers) > 1),
        },
        arguments=(
            operator.activation(),
            operator.output,
            Scratch(size=rows * 16 * 4),
            Constant(name="weights", values=sums.rows.reshape(-1)),
            Constant(name="bias", values=sums.bias),
            Constant(name="multipliers", values=np.array([each.value for each in sums.multipliers], np.int32)),
            Constant(name="shifts", values=np.array([each.shift for each in sums.multipliers], np.int8)),
        ),
    )
    # An output has to lie on its own input, or else on inputs that all were staged before.
    in_place = planes.output == planes.input or planes.output[1] * stride <= _STRIP
    return Step(
        operator=operator,
        calls=(call,),
        macs=math.prod(planes.output) * sums.rows.size,
        detail=f"{window}, {sums.limits.name}",
        overwrites=(operator.activation(),) if in_place else (),
    )
