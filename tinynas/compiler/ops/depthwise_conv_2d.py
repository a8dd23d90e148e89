"""DEPTHWISE_CONV_2D. Source: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h."""

import math

from tinynas.compiler import mve
from tinynas.compiler.activation import fused_range
from tinynas.compiler.graph import Operator
from tinynas.compiler.layout import (
    channel_multipliers,
    fold_bias,
    interleave,
    is_plain,
    matmul_constants,
    read_bias,
    read_weights,
    rescale_parameters,
)
from tinynas.compiler.mve import VectorProducts
from tinynas.compiler.ops.conv_2d import convolution
from tinynas.compiler.ops.conv_16 import convolution_16, depthwise_16
from tinynas.compiler.packing import Sums
from tinynas.compiler.planes import depthwise
from tinynas.compiler.step import Call, Step
from tinynas.compiler.symmetric import takes_int16
from tinynas.compiler.target import WITH_DSP, Target
from tinynas.compiler.window import Window, read_window


def lower(operator: Operator, target: Target) -> Step:
    """Any stride, dilation, padding and depth multiplier; weights (1, height, width, out), int8; int8 or int16 values.

    Raises:
        MalformedModelError: shapes or options that contradict each other.
        UnsupportedError: a batch other than 1, or weights that are not constant int8.
    """
    operator.require_operands(2, 3)
    weights, values = read_weights(operator, axis=3)
    window = depthwise_window(operator, values.shape)
    channels = values.shape[3]
    multiplier = _depth_multiplier(operator, window, channels)
    rows = values.reshape(-1, channels).T
    limits, multipliers = fused_range(operator, 4), channel_multipliers(operator, weights)
    # One input channel: the same sums as an ordinary convolution, whose kernel reuses what it loads.
    if takes_int16(operator):
        form = convolution_16 if window.channels == 1 else depthwise_16
        return form(operator, window, rows, multipliers, limits)
    if window.channels == 1:
        return convolution(operator, window, rows, weights, target, activation_slot=4)
    source = operator.activation()
    packed = interleave(rows) if multiplier == 1 else rows.reshape(-1)
    bias = fold_bias(rows, read_bias(operator, 2, channels), source.zero_point)
    if target == "cortex-m55" and multiplier == 1:
        products = VectorProducts.of(operator.output, rows, bias, multipliers, limits)
        if step := mve.depthwise(operator, window, products):
            return step
    if target in WITH_DSP and multiplier == 1:
        found = depthwise(operator, window, Sums.of(operator.output, rows, bias, multipliers, limits))
        if found:
            return found
    plain = int(is_plain(rows, bias, multipliers))
    parameters = {
        **window.parameters,
        "channels": channels,
        "multiplier": multiplier,
        "quads": channels // 4 if multiplier == 1 else 0,
        "padding": source.zero_point,
        **rescale_parameters(multipliers, operator.output.zero_point, limits),
    }
    constants = matmul_constants(packed, bias, multipliers)
    call = Call(
        kernel="tn_depthwise",
        record="tn_depthwise",
        parameters=parameters,
        arguments=(plain, source, operator.output, *constants),
    )
    macs = math.prod(window.output) * rows.size
    return Step(operator=operator, calls=(call,), macs=macs, detail=f"{window}, {limits.name}")


def _depth_multiplier(operator: Operator, window: Window, channels: int) -> int:
    """Output channels per input channel."""
    if channels % window.channels or operator.output.shape[3] != channels:
        operator.malformed(f"{channels} filters for {window.channels} -> {operator.output.shape[3]} channels")
    multiplier = channels // window.channels
    if operator.option(3, "i") != multiplier:
        operator.malformed(f"depth multiplier {operator.option(3, 'i')}, {channels} filters need {multiplier}")
    return multiplier


def depthwise_window(operator: Operator, shape: tuple[int, ...]) -> Window:
    """The window for weights of this shape."""
    if len(shape) != 4 or shape[0] != 1:
        operator.malformed(f"weights of shape {list(shape)}, needs 1, height, width, out")
    return read_window(
        operator,
        size=(shape[1], shape[2]),
        stride=(operator.option(2, "i"), operator.option(1, "i")),
        dilation=(operator.option(6, "i", 1), operator.option(5, "i", 1)),
    )
