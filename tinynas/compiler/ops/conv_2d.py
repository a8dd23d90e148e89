"""CONV_2D. Source: tensorflow/lite/kernels/internal/reference/integer_ops/conv.h (ConvPerChannel)."""

import math

import numpy as np
import numpy.typing as npt

from tinynas.compiler.activation import fused_range
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
from tinynas.compiler.ops.conv_16 import convolution_16
from tinynas.compiler.packing import Sums, pair_constants, pair_form, pair_parameters, vector_constants
from tinynas.compiler.step import Call, Scratch, Step, Trail
from tinynas.compiler.symmetric import takes_int16
from tinynas.compiler.target import WITH_DSP, Target
from tinynas.compiler.window import Window, read_window, trailing_lag


def lower(operator: Operator, target: Target) -> Step:
    """Any stride, dilation and padding; weights (out, height, width, in), int8, one scale or one per output channel;
    int8 or int16 values.

    Raises:
        MalformedModelError: shapes or options that contradict each other.
        UnsupportedError: a batch other than 1, grouped convolution, or weights that are not constant int8.
    """
    operator.require_operands(2, 3)
    weights, values = read_weights(operator, axis=0)
    window = convolution_window(operator, values.shape)
    rows = values.reshape(len(values), -1)
    if takes_int16(operator):
        multipliers = channel_multipliers(operator, weights)
        return convolution_16(operator, window, rows, multipliers, fused_range(operator, 3))
    return convolution(operator, window, rows, weights, target, activation_slot=3)


def convolution_window(operator: Operator, shape: tuple[int, ...]) -> Window:
    """The window for weights of this shape."""
    if len(shape) != 4:
        operator.malformed(f"weights of shape {list(shape)}, needs out, height, width, in")
    window = read_window(
        operator,
        size=(shape[1], shape[2]),
        stride=(operator.option(2, "i"), operator.option(1, "i")),
        dilation=(operator.option(5, "i", 1), operator.option(4, "i", 1)),
    )
    if shape[3] != window.channels:
        operator.refuse(f"{shape[3]} input channels per group of {window.channels}; supported is one group")
    return window


def convolution(
    operator: Operator,
    window: Window,
    rows: npt.NDArray[np.int8],
    weights: Tensor,
    target: Target,
    *,
    activation_slot: int,
) -> Step:
    """The step for weights as rows (out, height * width * in)."""
    channels, depth = rows.shape
    if operator.output.shape[3] != channels:
        operator.malformed(f"{channels} filters, the output has {operator.output.shape[3]} channels")
    source = operator.activation()
    limits = fused_range(operator, activation_slot)
    multipliers = channel_multipliers(operator, weights)
    pixels = math.prod(window.output)
    parameters = {
        **window.parameters,
        "contiguous": int(window.contiguous),
        "padding": source.zero_point,
        "matmul.depth": depth,
        "matmul.channels": channels,
        **{
            f"matmul.{key}": value
            for key, value in rescale_parameters(multipliers, operator.output.zero_point, limits).items()
        },
    }
    bias = fold_bias(rows, read_bias(operator, 2, channels), source.zero_point)
    if target == "cortex-m55":
        products = VectorProducts.of(operator.output, rows, bias, multipliers, limits)
        if products.exact:
            return vectored(operator, window, products)
    if target in WITH_DSP:
        sums = Sums.of(operator.output, rows, bias, multipliers, limits)
        if sums.bounded and sums.pairable:
            return paired(operator, window, sums)
    plain = int(is_plain(rows, bias, multipliers))
    scratch = Scratch(size=0 if window.contiguous else min(pixels, 2) * depth)
    constants = matmul_constants(interleave(rows), bias, multipliers)
    call = Call(
        kernel="tn_conv",
        record="tn_conv",
        parameters=parameters,
        arguments=(plain, source, operator.output, scratch, *constants),
    )
    return Step(
        operator=operator,
        calls=(call,),
        macs=pixels * depth * channels,
        detail=f"{window}, {limits.name}",
        trails=(Trail(tensor=source, lag=trailing_lag(window, channels, block=2, staged=not window.contiguous)),),
    )


def vectored(operator: Operator, window: Window, products: VectorProducts) -> Step:
    """The step for a CPU with vectors."""
    pixels, source = math.prod(window.output), operator.activation()
    channels, depth = products.rows.shape
    if pixels == 1 and window.contiguous:
        return vector_fully_connected(operator, products, detail=f"{window}, {products.limits.name}")
    whole = window.pointwise
    call = Call(
        kernel=f"tn_mve_conv_{'whole' if whole else 'gathered'}{'_short' if products.short else ''}_{products.form}",
        record="tn_mve_conv",
        parameters={**window.parameters, "padding": source.zero_point, **products.parameters},
        arguments=(source, operator.output, Scratch(size=0 if whole else min(pixels, 3) * depth), *products.constants),
    )
    # Fewer than four channels reach beyond their pixel before the next one is written.
    trails = (Trail(tensor=source, lag=trailing_lag(window, channels, block=3, staged=not whole)),)
    return Step(
        operator=operator,
        calls=(call,),
        macs=pixels * products.rows.size,
        detail=f"{window}, {products.limits.name}",
        trails=() if products.missing else trails,
    )


def vector_fully_connected(operator: Operator, products: VectorProducts, *, detail: str) -> Step:
    """The step for one vector of inputs."""
    call = Call(
        kernel=f"tn_mve_fully_connected_{products.form}",
        record="tn_mve_fully_connected",
        parameters=products.parameters,
        arguments=(operator.activation(), operator.output, *products.constants),
    )
    return Step(operator=operator, calls=(call,), macs=products.rows.size, detail=detail)


def paired(operator: Operator, window: Window, sums: Sums) -> Step:
    """The step for a CPU with DSP instructions."""
    pixels = math.prod(window.output)
    if pixels == 1 and window.contiguous:
        return pair_fully_connected(operator, sums, detail=f"{window}, {sums.limits.name}")
    source = operator.activation()
    channels, depth = sums.rows.shape
    padded = -(-depth // 4) * 4
    patches = _patches(window)
    call = Call(
        kernel=f"tn_pair_conv_{patches}_{pair_form(sums)}",
        record="tn_pair_conv",
        parameters={
            **window.parameters,
            "padding": source.zero_point,
            **{f"matmul.{key}": value for key, value in pair_parameters(sums, padded).items()},
        },
        arguments=(
            source,
            operator.output,
            Scratch(size=_scratch(patches, window.channels, padded)),
            *pair_constants(sums),
        ),
    )
    return Step(
        operator=operator,
        calls=(call,),
        macs=pixels * sums.rows.size,
        detail=f"{window}, {sums.limits.name}",
        trails=(Trail(tensor=source, lag=trailing_lag(window, channels, block=3, staged=True)),),
    )


def pair_fully_connected(operator: Operator, sums: Sums, *, detail: str) -> Step:
    """The step for one vector of inputs, which is staged before the first output is written."""
    source = operator.activation()
    padded = -(-sums.rows.shape[1] // 8) * 8
    call = Call(
        kernel=f"tn_pair_fully_connected_{pair_form(sums)}",
        record="tn_pair_fully_connected",
        parameters={
            "count": sums.rows.shape[1],
            **{f"matmul.{key}": value for key, value in pair_parameters(sums, padded).items()},
        },
        arguments=(source, operator.output, Scratch(size=2 * padded), *vector_constants(sums)),
    )
    return Step(
        operator=operator,
        calls=(call,),
        macs=sums.rows.size,
        detail=detail,
        trails=(Trail(tensor=source, lag=-source.elements),),
    )


def _patches(window: Window) -> str:
    """Which way of firmware/lib/tn_pair_conv.h stages the window's patches."""
    if window.channels % 4:
        return "bytes"
    return "whole" if window.pointwise else "quads"


def _scratch(patches: str, channels: int, depth: int) -> int:
    """Three staged patches, a pixel of padding, the bytes of three patches [B]."""
    staged, outside = 6 * depth, -(-channels // 4) * 4
    return {"whole": staged, "quads": staged + outside, "bytes": staged + outside + 3 * depth}[patches]
