"""The geometry of a sliding window: strides, dilation, padding, and whether the shapes of a model agree with them."""

import math
from dataclasses import dataclass, replace

import numpy as np

from tinynas.compiler.graph import Operator

_PADDINGS = ("SAME", "VALID")
# Distances in the kernels stay far inside int32: the sum of a window of this size does, too.
_LARGEST = 1 << 11


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window over an image. Pairs are (vertical, horizontal), in pixels; `channels` are the input's."""

    input: tuple[int, int]
    channels: int
    output: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    padding: str

    @property
    def reaches_outside(self) -> bool:
        """Whether some window has pixels outside the image."""
        return any(
            before > 0 or (outputs - 1) * stride - before + (size - 1) * dilation >= extent
            for before, outputs, stride, size, dilation, extent in zip(
                self.before, self.output, self.stride, self.size, self.dilation, self.input, strict=True
            )
        )

    @property
    def pointwise(self) -> bool:
        """Whether the windows are the image's pixels, one after the other."""
        return self.size == self.stride == (1, 1) and self.input == self.output

    @property
    def contiguous(self) -> bool:
        """Whether each window's pixels follow one another in memory."""
        one_row = self.size[0] == 1 and (self.size[1] == 1 or self.dilation[1] == 1)
        whole_rows = self.size[1] == self.input[1] and (self.size[1] == 1 or self.dilation[1] == 1)
        return not self.reaches_outside and (one_row or (whole_rows and self.dilation[0] == 1))

    @property
    def parameters(self) -> dict[str, int]:
        """The fields of `struct tn_window`."""
        return {
            "window.in_height": self.input[0],
            "window.in_width": self.input[1],
            "window.channels": self.channels,
            "window.out_height": self.output[0],
            "window.out_width": self.output[1],
            "window.height": self.size[0],
            "window.width": self.size[1],
            "window.stride_y": self.stride[0],
            "window.stride_x": self.stride[1],
            "window.dilation_y": self.dilation[0],
            "window.dilation_x": self.dilation[1],
            "window.pad_top": self.before[0],
            "window.pad_left": self.before[1],
        }

    def __str__(self) -> str:
        text = f"window {self.size[0]}x{self.size[1]}, stride {self.stride[0]}x{self.stride[1]}, {self.padding}"
        return text + (f", dilation {self.dilation[0]}x{self.dilation[1]}" if self.dilation != (1, 1) else "")


def pointwise(pixels: int, channels: int) -> Window:
    """The window that sees one pixel of one row: what a dense layer does to each of its input vectors."""
    row, one = (1, pixels), (1, 1)
    return Window(
        input=row,
        channels=channels,
        output=row,
        size=one,
        stride=one,
        dilation=one,
        before=(0, 0),
        padding="VALID",
    )


def trailing_lag(window: Window, channels: int, *, block: int, staged: bool) -> int:
    """How far the output must stay behind the input for a kernel that goes through the output's pixels in order [B].

    It works on `block` pixels of `channels` values at a time, on the last ones one by one, and writes them after it has
    read their windows whole, where it stages them, or while it reads them. The output may then lie at this distance
    before the input or more.
    """
    rows = np.maximum(np.arange(window.output[0]) * window.stride[0] - window.before[0], 0)
    columns = np.maximum(np.arange(window.output[1]) * window.stride[1] - window.before[1], 0)
    reads = ((rows[:, None] * window.input[1] + columns) * window.channels).reshape(-1)
    # What no later pixel reads may be overwritten: the least address from each pixel on.
    needed = np.minimum.accumulate(reads[::-1])[::-1]
    whole = len(reads) // block * block
    ends = np.concatenate([np.arange(block, whole + 1, block), np.arange(whole + 1, len(reads) + 1)])
    first = ends if staged else np.concatenate([[0], ends[:-1]])
    written = ends * channels
    later = first < len(reads)
    if not later.any():
        return -math.prod(window.input) * window.channels
    return int((written[later] - needed[first[later]]).max())


def read_window(
    operator: Operator, *, size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Window:
    """The window of an operator whose padding is options field 0, checked against its input's and output's shapes.

    Source: ComputePaddingHeightWidth in tensorflow/lite/kernels/padding.h.

    Raises:
        MalformedModelError: the shapes do not agree, or a size is below 1.
        UnsupportedError: a batch other than 1, or a window, stride or dilation above 2,048.
    """
    image, output = operator.activation().shape, operator.output.shape
    if len(image) != 4 or len(output) != 4:
        operator.malformed(f"shapes {list(image)} -> {list(output)}, needs batch, height, width, channels")
    if image[0] != 1 or output[0] != 1:
        operator.refuse(f"a batch of {image[0]}; supported is 1")
    code = operator.option(0, "b")
    if not 0 <= code < len(_PADDINGS) or min(*size, *stride, *dilation) < 1:
        operator.malformed(f"padding {code}, window {size}, stride {stride}, dilation {dilation}")
    if max(*size, *stride, *dilation) > _LARGEST:
        operator.refuse(f"window {size}, stride {stride}, dilation {dilation}; supported is up to {_LARGEST:,}")
    window = Window(
        input=image[1:3],
        channels=image[3],
        output=output[1:3],
        size=size,
        stride=stride,
        dilation=dilation,
        before=(0, 0),
        padding="VALID" if operator.pads_only else _PADDINGS[code],
    )
    vertical, horizontal = _fit(operator, window, 0), _fit(operator, window, 1)
    return replace(window, before=(vertical, horizontal))


def _fit(operator: Operator, window: Window, axis: int) -> int:
    """The padding before the image along one axis [pixels]; the output's extent is checked against it."""
    pads = operator.pads[axis]
    extent, stride = window.input[axis] + sum(pads), window.stride[axis]
    reach = (window.size[axis] - 1) * window.dilation[axis] + 1
    outputs = -(-extent // stride) if window.padding == "SAME" else (extent - reach) // stride + 1
    if outputs < 1 or window.output[axis] != outputs:
        operator.malformed(f"{window} over {window.input} gives {outputs}, the output has {window.output[axis]}")
    return pads[0] + max((outputs - 1) * stride + reach - extent, 0) // 2
