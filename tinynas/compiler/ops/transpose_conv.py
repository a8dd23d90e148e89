"""TRANSPOSE_CONV. Source: tensorflow/lite/kernels/internal/reference/integer_ops/transpose_conv.h."""

import math

import numpy as np

from tinynas.compiler.activation import fused_range
from tinynas.compiler.fixed_point import quantize_multiplier
from tinynas.compiler.graph import Operator
from tinynas.compiler.layout import matmul_constants, read_bias, read_weights, rescale_parameters
from tinynas.compiler.step import Call, Step

_PADDINGS = ("SAME", "VALID")
_LARGEST = 1 << 11


def lower(operator: Operator) -> Step:
    """Any stride and padding; weights (out, height, width, in), int8, one scale or one per output channel.

    Raises:
        MalformedModelError: shapes or options that contradict each other.
        UnsupportedError: a batch other than 1, a computed output shape, weights that are not constant int8.
    """
    operator.require_operands(3, 4)
    weights, values = read_weights(operator, axis=0)
    source, output = operator.activation(2), operator.output
    if not len(values.shape) == len(source.shape) == len(output.shape) == 4:
        operator.malformed(f"{list(source.shape)} x {list(values.shape)} -> {list(output.shape)}, needs 4 dimensions")
    if source.shape[0] != 1 or output.shape[0] != 1:
        operator.refuse(f"a batch of {source.shape[0]}; supported is 1")
    channels, height, width, depth = values.shape
    if depth != source.shape[3] or channels != output.shape[3]:
        operator.malformed(f"weights {list(values.shape)} for {list(source.shape)} -> {list(output.shape)}")
    stride_y, stride_x = _strides(operator, max(height, width))
    limits = fused_range(operator, 3)
    multipliers = [quantize_multiplier(source.scale * float(each) / output.scale) for each in weights.scales]
    bias = read_bias(operator, 3, channels).astype(np.uint32).astype(np.int32)
    parameters = {
        "in_height": source.shape[1],
        "in_width": source.shape[2],
        "in_channels": depth,
        "out_height": output.shape[1],
        "out_width": output.shape[2],
        "channels": channels,
        "height": height,
        "width": width,
        "stride_y": stride_y,
        "stride_x": stride_x,
        "pad_top": _before(operator, output.shape[1], height, stride_y, source.shape[1]),
        "pad_left": _before(operator, output.shape[2], width, stride_x, source.shape[2]),
        "in_zero_point": source.zero_point,
        **rescale_parameters(multipliers, output.zero_point, limits),
    }
    constants = matmul_constants(values.reshape(-1), bias, multipliers)
    call = Call(
        kernel="tn_transpose_conv",
        record="tn_transpose_conv",
        parameters=parameters,
        arguments=(source, output, *constants),
    )
    macs = math.prod(source.shape[1:3]) * values.size
    return Step(operator=operator, calls=(call,), macs=macs, detail=f"stride {stride_y}x{stride_x}, {limits.name}")


def _strides(operator: Operator, size: int) -> tuple[int, int]:
    stride_y, stride_x = operator.option(2, "i"), operator.option(1, "i")
    if min(stride_y, stride_x) < 1:
        operator.malformed(f"stride {stride_y}x{stride_x}")
    if max(stride_y, stride_x, size) > _LARGEST:
        operator.refuse(f"a window or stride above {_LARGEST:,}")
    return stride_y, stride_x


def _before(operator: Operator, extent: int, size: int, stride: int, inputs: int) -> int:
    """The padding before the output along one dimension: that of the convolution that leads from it to the input."""
    code = operator.option(0, "b")
    if not 0 <= code < len(_PADDINGS):
        operator.malformed(f"padding {code}")
    same = _PADDINGS[code] == "SAME"
    places = -(-extent // stride) if same else (extent - size) // stride + 1
    if places != inputs:
        operator.malformed(f"{_PADDINGS[code]} over {extent} by {stride} gives {places}, the input has {inputs}")
    return max((places - 1) * stride + size - extent, 0) // 2 if same else 0
