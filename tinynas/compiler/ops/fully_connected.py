"""FULLY_CONNECTED. Sources: tensorflow/lite/kernels/internal/reference/integer_ops/fully_connected.h and
tensorflow/lite/micro/kernels/fully_connected_common.cc."""

import numpy as np

from tinynas.compiler.activation import fused_range
from tinynas.compiler.fixed_point import Multiplier, quantize_multiplier
from tinynas.compiler.graph import Operator, Tensor
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
from tinynas.compiler.ops.conv_2d import pair_fully_connected, paired, vector_fully_connected, vectored
from tinynas.compiler.ops.conv_16 import convolution_16
from tinynas.compiler.packing import Sums
from tinynas.compiler.step import Call, Step
from tinynas.compiler.symmetric import takes_int16
from tinynas.compiler.target import WITH_DSP, Target
from tinynas.compiler.window import pointwise


def lower(operator: Operator, target: Target) -> Step:
    """Weights (out, in), int8, one scale or one per output; an input of any shape whose size is a multiple of `in`;
    int8 or int16 values.

    Raises:
        MalformedModelError: shapes that contradict each other.
        UnsupportedError: shuffled weights, or weights that are not constant int8.
    """
    operator.require_operands(2, 3)
    if operator.option(1, "b"):
        operator.refuse("shuffled weights; supported is the default format")
    weights, values = read_weights(operator, axis=0)
    source = operator.activation()
    if values.ndim != 2:
        operator.malformed(f"weights of shape {list(values.shape)}, needs out, in")
    channels, depth = values.shape
    rows = source.elements // depth
    if rows * depth != source.elements or operator.output.elements != rows * channels:
        operator.malformed(f"{list(source.shape)} x {list(values.shape)} -> {list(operator.output.shape)}")
    limits = fused_range(operator, 0)
    multipliers = output_multipliers(operator, weights)
    if takes_int16(operator):
        return convolution_16(operator, pointwise(rows, depth), values, multipliers, limits)
    matmul = {
        "depth": depth,
        "channels": channels,
        **rescale_parameters(multipliers, operator.output.zero_point, limits),
    }
    parameters = {"rows": rows, **{f"matmul.{key}": value for key, value in matmul.items()}}
    bias = fold_bias(values, read_bias(operator, 2, channels), source.zero_point)
    if target == "cortex-m55":
        products = VectorProducts.of(operator.output, values, bias, multipliers, limits)
        if products.exact and rows == 1:
            return vector_fully_connected(operator, products, detail=limits.name)
        if products.exact:
            return vectored(operator, pointwise(rows, depth), products)
    if target in WITH_DSP:
        sums = Sums.of(operator.output, values.astype(np.int8), bias, multipliers, limits)
        if sums.bounded and sums.pairable:
            if rows == 1:
                return pair_fully_connected(operator, sums, detail=limits.name)
            return paired(operator, pointwise(rows, depth), sums)
    plain = int(is_plain(values, bias, multipliers))
    constants = matmul_constants(interleave(values), bias, multipliers)
    call = Call(
        kernel="tn_fully_connected",
        record="tn_fully_connected",
        parameters=parameters,
        arguments=(plain, source, operator.output, *constants),
    )
    return Step(operator=operator, calls=(call,), macs=rows * values.size, detail=limits.name)


def output_multipliers(operator: Operator, weights: Tensor) -> list[Multiplier]:
    """With one scale, TensorFlow Lite multiplies the scales in float32 here, unlike in convolutions."""
    if len(weights.scales) > 1:
        return channel_multipliers(operator, weights)
    product = np.float32(operator.activation().scale) * weights.scales[0]
    return [quantize_multiplier(float(product) / operator.output.scale)]
